// keymeld-eif: builds, describes and verifies enclave image files.
#include <cstdio>
#include <iostream>

#include <CLI/CLI.hpp>

#include "core/attestation/eif/signature.h"
#include "core/attestation/pcr_policy.h"
#include "enclave/image/tool/files.h"
#include "enclave/image/tool/metadata.h"
#include "enclave/image/tool/report.h"

namespace keymeld::eif {
namespace {

constexpr std::size_t kMaxPem = 16 * 1024;

struct Options {
    std::string image;
    std::string kernel;
    std::string cmdline;
    std::vector<std::string> ramdisks;
    std::string out;
    std::string pcrs;
    std::string name = "keymeld-enclave";
    std::string version = KEYMELD_EIF_VERSION;
    std::string sign_key;
    std::string sign_certificate;
    bool json = false;
};

void print(const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
}

/// The allow-list of just this image.
Result<attestation::PcrPolicy> policy_of(const Options& options, const attestation::PcrSet& pcrs) {
    return attestation::PcrPolicy::make(
        {{.name = options.name + " " + options.version, .required = pcrs}});
}

Status build(const Options& options) {
    Image image;
    image.cmdline = options.cmdline;
    KEYMELD_TRY(image.kernel, read_whole(options.kernel, kMaxKernel));
    for (const std::string& source : options.ramdisks) {
        KEYMELD_TRY(Bytes ramdisk, make_ramdisk(source));
        image.ramdisks.push_back(std::move(ramdisk));
    }
    image.metadata =
        make_metadata(options.name, options.version, KEYMELD_EIF_VERSION, image.kernel);
    if (!options.sign_key.empty()) {
        KEYMELD_TRY(const auto key, attestation::SigningKey::load(options.sign_key));
        KEYMELD_TRY(const Bytes pem, read_whole(options.sign_certificate, kMaxPem));
        KEYMELD_TRY(image.signature, sign_image(image.measure().at(attestation::PcrIndex::of<0>()),
                                                as_text(pem), key));
    }
    KEYMELD_TRY(const Bytes file, image.write());
    KEYMELD_TRY(const ImageReport report, inspect(file));
    KEYMELD_TRY(const auto policy, policy_of(options, report.pcrs));
    KEYMELD_CHECK(write_whole(options.out, file));
    if (!options.pcrs.empty())
        KEYMELD_CHECK(write_whole(options.pcrs, as_bytes(policy.to_json())));
    print(options.json ? pcrs_json(report.pcrs) + "\n" : pcrs_lines(report.pcrs));
    return {};
}

Status describe(const Options& options) {
    KEYMELD_TRY(const Bytes file, read_whole(options.image, kMaxFile));
    KEYMELD_TRY(const ImageReport report, inspect(file));
    print(options.json ? as_json(report) : as_lines(report));
    return {};
}

Status verify(const Options& options) {
    KEYMELD_TRY(const Bytes file, read_whole(options.image, kMaxFile));
    KEYMELD_TRY(const ImageReport report, inspect(file));
    if (report.signature)
        KEYMELD_CHECK(*report.signature);
    std::string allowed_as;
    if (!options.pcrs.empty()) {
        KEYMELD_TRY(const auto policy, attestation::PcrPolicy::from_file(options.pcrs));
        // What an unsigned image reports in PCR8.
        attestation::PcrSet pcrs = report.pcrs;
        pcrs.emplace(attestation::PcrIndex::of<8>(), attestation::PcrValue{});
        const auto* entry = policy.match(pcrs);
        if (entry == nullptr)
            return fail(Errc::NotPermitted, options.pcrs +
                                                " does not allow this image; it measures\n" +
                                                pcrs_lines(report.pcrs));
        allowed_as = entry->name;
    }
    if (options.json) {
        print(as_json(report));
        return {};
    }
    print("well-formed, checksum good, " +
          std::string(report.signature ? "signature good" : "unsigned") +
          (allowed_as.empty() ? "" : ", allowed as " + allowed_as) + "\n" +
          pcrs_lines(report.pcrs));
    return {};
}

int run(int argc, char** argv) {
    Options options;
    CLI::App app("Builds, describes and verifies enclave image files (EIF version 4).",
                 "keymeld-eif");
    app.set_version_flag("--version", std::string("keymeld-eif ") + KEYMELD_EIF_VERSION);
    app.require_subcommand(1);
    Status status;

    auto* build_command = app.add_subcommand(
        "build", "Makes an image and prints its PCRs. The same input gives the same file, unless "
                 "it is signed.");
    build_command->add_option("--kernel", options.kernel, "bzImage")->required();
    build_command->add_option("--cmdline", options.cmdline, "the kernel's command line; measured")
        ->required();
    build_command
        ->add_option("--ramdisk", options.ramdisks,
                     "a folder, whose files are archived, or a finished ramdisk. The first is "
                     "measured into PCR1, the others into PCR2")
        ->required()
        ->take_all();
    build_command->add_option("--out", options.out, "the image to write")->required();
    build_command->add_option("--pcrs", options.pcrs,
                              "write an allow-list of this image (pcrs.json)");
    build_command->add_option("--name", options.name, "its name in the allow-list")
        ->capture_default_str();
    build_command->add_option("--image-version", options.version, "its version there")
        ->capture_default_str();
    auto* key = build_command->add_option("--sign-key", options.sign_key,
                                          "sign with this P-384 key (PEM, mode 0600)");
    auto* certificate =
        build_command->add_option("--sign-certificate", options.sign_certificate,
                                  "the key's certificate (PEM), which is measured into PCR8");
    key->needs(certificate);
    certificate->needs(key);
    build_command->add_flag("--json", options.json, "print the PCRs as JSON");
    build_command->callback([&] { status = build(options); });

    auto* describe_command =
        app.add_subcommand("describe", "Prints what is in an image and its PCRs.");
    describe_command->add_option("IMAGE", options.image)->required();
    describe_command->add_flag("--json", options.json, "print as JSON");
    describe_command->callback([&] { status = describe(options); });

    auto* verify_command = app.add_subcommand(
        "verify", "Checks form, checksum and signature of an image, and that a list allows it. "
                  "Exit code 0 only if all is well.");
    verify_command->add_option("IMAGE", options.image)->required();
    verify_command->add_option("--pcrs", options.pcrs,
                               "the list of allowed images (pcrs.json) that must have it");
    verify_command->add_flag("--json", options.json, "print as JSON");
    verify_command->callback([&] { status = verify(options); });

    CLI11_PARSE(app, argc, argv);
    if (status)
        return 0;
    std::cerr << "keymeld-eif: " << status.error().detail << "\n";
    return 1;
}

} // namespace
} // namespace keymeld::eif

int main(int argc, char** argv) {
    try {
        return keymeld::eif::run(argc, argv);
    } catch (const std::exception& error) {
        std::cerr << "keymeld-eif: " << error.what() << "\n";
        return 1;
    }
}
