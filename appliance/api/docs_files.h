// The files of the documentation viewer, read once at start and shared by all answers.
//
// They are installed to share/keymeld/docs: index.html and initializer.js are ours, the rest is swagger-ui-dist as npm brought it.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "appliance/http/message.h"
#include "core/base/result.h"

namespace keymeld::api {

class DocsFiles {
  public:
    /// Reads the files that the viewer needs; without all of them the viewer is not available. [startup]
    static DocsFiles load(const std::filesystem::path& folder);

    bool available() const { return !m_files.empty(); }
    /// GET /docs: the viewer, or a page that says how to get it.
    http::Response page() const;
    /// GET /docs/{file}; NotFound for any other name than those that were loaded.
    Result<http::Response> file(std::string_view name) const;

  private:
    struct File {
        std::string content_type;
        std::shared_ptr<const std::string> text;
    };
    std::map<std::string, File, std::less<>> m_files;
};

/// ../share/keymeld/docs from the folder of the running program, in a build folder and when installed alike.
std::filesystem::path default_docs_folder();

} // namespace keymeld::api
