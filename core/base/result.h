// Result<T>: a value or an Error, never ignored. tl::expected underneath (std::expected is C++23).
#pragma once

#include <tl/expected.hpp>

#include "core/base/error.h"

namespace keymeld {

template <class T> class [[nodiscard]] Result : public tl::expected<T, Error> {
  public:
    using Base = tl::expected<T, Error>;
    using Base::Base;
    Result(Error error) : Base(tl::unexpect, std::move(error)) {}
    Result(tl::unexpected<Error> error) : Base(std::move(error)) {}
};

using Status = Result<void>;

/// Short form of a failure: `return fail(Errc::InvalidPoint, "public key is not on the curve");`
[[nodiscard]] inline Error fail(Errc code, std::string detail,
                                std::source_location where = std::source_location::current()) {
    return {code, std::move(detail), where};
}

} // namespace keymeld

/// `KEYMELD_TRY(auto x, f());` declares x with the value of f(), or returns f()'s error from the calling function.
#define KEYMELD_CONCAT_(a, b) a##b
#define KEYMELD_CONCAT(a, b) KEYMELD_CONCAT_(a, b)
#define KEYMELD_TRY(declaration, expression)                                                        \
    auto KEYMELD_CONCAT(keymeld_try_, __LINE__) = (expression);                                     \
    if (!KEYMELD_CONCAT(keymeld_try_, __LINE__))                                                    \
        return std::move(KEYMELD_CONCAT(keymeld_try_, __LINE__)).error();                           \
    declaration = std::move(*KEYMELD_CONCAT(keymeld_try_, __LINE__))

/// `KEYMELD_CHECK(f());` returns f()'s error from the calling function, or goes on.
#define KEYMELD_CHECK(expression)                                                                   \
    do {                                                                                            \
        auto keymeld_check_ = (expression);                                                         \
        if (!keymeld_check_)                                                                        \
            return std::move(keymeld_check_).error();                                               \
    } while (false)
