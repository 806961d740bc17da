// Boost.JSON is a header-only library here; this is its one translation unit in the tests.
#include <boost/json/src.hpp>
