// Files of "name: value" lines that hold secrets: participant keys and invitations.
//
// First line names the kind. Mode 0600, owned by the user; the content is read into locked memory and values are views of it.
//
//   keymeld-participant-key-v1            keymeld-invitation-v1
//   user_id: 019a…                        keygen_id: 019a…
//   private_key: <64 hex>                 session_secret: <64 hex>  … and the parameters of the session
#pragma once

#include <filesystem>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "core/secure/secret.h"

namespace keymeld::client {

/// A file that was read. Its content is secret.
class SecretFile {
  public:
    /// `Errc::Io` if it cannot be read, is larger than 1 MiB, or others than its owner can read or write it; `Errc::ConfigInvalid` unless its first line is
    /// `kind` and each further one `name: value`, no name twice. The detail names the file, never its content.
    static Result<SecretFile> read(const std::filesystem::path& path, std::string_view kind);

    /// Valid as long as the object. `Errc::ConfigInvalid` if there is no such line.
    Result<ByteView> value(std::string_view name) const;
    /// For values that are public.
    Result<std::string_view> text(std::string_view name) const;

  private:
    SecretFile(secure::SecretBytes content, std::filesystem::path path) : m_content(std::move(content)), m_path(std::move(path)) {}

    struct Line {
        std::string_view name; // view of m_content
        std::string_view value;
    };
    secure::SecretBytes m_content;
    std::filesystem::path m_path;
    std::vector<Line> m_lines;
};

/// Lines of a file to be written; values may be secret.
class SecretFileWriter {
  public:
    explicit SecretFileWriter(std::string_view kind);
    void add(std::string_view name, ByteView value);
    void add(std::string_view name, std::string_view value);
    /// Creates the file with mode 0600 and flushes it to disk. `Errc::Io`; a file that exists is never overwritten.
    Status write(const std::filesystem::path& path) const;

  private:
    void append(ByteView bytes);

    secure::SecretBytes m_content;
    std::size_t m_size = 0;
};

} // namespace keymeld::client
