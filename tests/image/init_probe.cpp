// Stands in the signer's place in an image, and says on the console what the init left it with. One
// "probe: NAME=VALUE" line each; init_boot.py knows what they must be.
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

void tell(const char* name, const std::string& value) {
    std::printf("probe: %s=%s\n", name, value.c_str());
    std::fflush(stdout);
}

/// A line of /proc/self/status, without its name and spaces.
std::string status_line(const std::string& name) {
    std::FILE* file = std::fopen("/proc/self/status", "r");
    std::array<char, 256> line{};
    std::string found = "none";
    while (file != nullptr && std::fgets(line.data(), line.size(), file) != nullptr)
        if (std::strncmp(line.data(), (name + ":").c_str(), name.size() + 1) == 0) {
            found.clear();
            for (const char* c = line.data() + name.size() + 1; *c != '\0' && *c != '\n'; ++c)
                found += *c == '\t' ? ' ' : *c;
            found.erase(0, found.find_first_not_of(' ') == std::string::npos
                               ? found.size()
                               : found.find_first_not_of(' '));
        }
    if (file != nullptr)
        std::fclose(file);
    return found;
}

std::string limit(int resource) {
    rlimit value{};
    ::getrlimit(static_cast<__rlimit_resource>(resource), &value);
    return value.rlim_cur == RLIM_INFINITY ? "unlimited" : std::to_string(value.rlim_cur);
}

std::string open_for_writing(const char* path, int flags) {
    const int file = ::open(path, flags, 0600);
    if (file < 0)
        return std::strerror(errno);
    ::close(file);
    return "opened";
}

/// Descriptors above the three standard ones.
std::string other_descriptors() {
    std::string open;
    for (int number = 3; number < 256; ++number)
        if (::fcntl(number, F_GETFD) >= 0)
            open += std::to_string(number) + " ";
    return open;
}

/// A grandchild that outlives its parent becomes the init's; it must not stay a zombie.
std::string orphan() {
    int ends[2]{};
    if (::pipe(ends) != 0)
        return "no pipe";
    const pid_t child = ::fork();
    if (child == 0) {
        const pid_t grandchild = ::fork();
        if (grandchild == 0) {
            ::usleep(100'000);
            ::_exit(0);
        }
        const bool told = ::write(ends[1], &grandchild, sizeof grandchild) == sizeof grandchild;
        ::_exit(told ? 0 : 1);
    }
    pid_t grandchild = 0;
    if (::read(ends[0], &grandchild, sizeof grandchild) != sizeof grandchild)
        return "no grandchild";
    ::waitpid(child, nullptr, 0);
    const std::string path = "/proc/" + std::to_string(grandchild);
    struct stat there {};
    if (::stat(path.c_str(), &there) != 0)
        return "not seen alive";
    for (int wait = 0; wait < 100; ++wait) {
        if (::stat(path.c_str(), &there) != 0)
            return "reaped";
        ::usleep(50'000);
    }
    return "left behind";
}

} // namespace

int main(int count, char** arguments) {
    std::string line;
    for (int i = 0; i < count; ++i)
        line += std::string(i > 0 ? " " : "") + arguments[i];
    tell("arguments", line);
    tell("environment", *environ == nullptr ? "empty" : *environ);
    tell("uid", status_line("Uid"));
    tell("gid", status_line("Gid"));
    tell("groups", status_line("Groups"));
    for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"})
        tell(set, status_line(set));
    tell("NoNewPrivs", status_line("NoNewPrivs"));
    tell("core", limit(RLIMIT_CORE));
    tell("memlock", limit(RLIMIT_MEMLOCK));
    tell("setuid", ::setuid(0) == 0 ? "root" : std::strerror(errno));
    tell("root", open_for_writing("/app/new", O_WRONLY | O_CREAT));
    tell("signer", open_for_writing("/app/keymeld-enclave", O_WRONLY));
    tell("nsm", open_for_writing("/dev/nsm", O_RDWR));
    tell("descriptors", other_descriptors());
    tell("init", open_for_writing("/proc/1/mem", O_RDONLY));
    unsigned char byte = 0;
    tell("random", ::getrandom(&byte, 1, GRND_NONBLOCK) == 1 ? "ready" : std::strerror(errno));
    tell("orphan", orphan());
    return 7;
}
