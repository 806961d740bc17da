# Language, warnings, hardening, sanitizers, ccache.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/archive")
# A program finds its libraries beside itself, in the build folder and when installed.
set(CMAKE_BUILD_RPATH_USE_ORIGIN ON)
set(KEYMELD_PLUGIN_DIR "${CMAKE_BINARY_DIR}/lib/keymeld/plugins")

find_program(KEYMELD_CCACHE ccache)
if(KEYMELD_CCACHE)
  # pch_defines,time_macros: precompiled headers and ccache work together only with these.
  # NOHASHDIR: the same file compiled in another checkout is the same.
  set(keymeld_launcher "${CMAKE_COMMAND}" -E env "CCACHE_NOHASHDIR=1"
      "CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime"
      "CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}" "${KEYMELD_CCACHE}")
  set(CMAKE_CXX_COMPILER_LAUNCHER "${keymeld_launcher}")
  set(CMAKE_C_COMPILER_LAUNCHER "${keymeld_launcher}")
endif()

# Several files of a target as one: their headers are parsed once, which is most of the work. Files of a batch share their file-local names.
option(KEYMELD_UNITY "Compile several source files of a target together (a full build in half the time)" ON)
set(CMAKE_UNITY_BUILD ${KEYMELD_UNITY})
set(CMAKE_UNITY_BUILD_BATCH_SIZE 6)

# What every target of ours compiles with. -O2 in Release: the code waits for libsecp256k1, not for loops of ours.
set(CMAKE_CXX_FLAGS_RELEASE "-O2")
set(CMAKE_C_FLAGS_RELEASE "-O2")
add_library(keymeld_options INTERFACE)
target_compile_options(keymeld_options INTERFACE
  -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Werror
  -fstack-protector-strong -fno-omit-frame-pointer)
target_compile_definitions(keymeld_options INTERFACE
  BOOST_ASIO_NO_DEPRECATED BOOST_ALLOW_DEPRECATED_HEADERS BOOST_DLL_USE_STD_FS)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(keymeld_options INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-Wno-psabi> -fpch-preprocess)
  # GCC reports these wrongly inside standard and Boost.Asio headers at -O2 (GCC bugs 105651, 105329, 103295 and kin); clang checks the same code.
  target_compile_options(keymeld_options INTERFACE
    -Wno-maybe-uninitialized -Wno-restrict -Wno-stringop-overflow -Wno-array-bounds -Wno-dangling-pointer
    -Wno-mismatched-new-delete -Wno-stringop-overread)
  if(KEYMELD_UNITY) # to GCC a type in a file that is included is in a header; where files are compiled alone, it still says so
    target_compile_options(keymeld_options INTERFACE -Wno-subobject-linkage)
  endif()
endif()
target_include_directories(keymeld_options INTERFACE "${CMAKE_SOURCE_DIR}" "${CMAKE_BINARY_DIR}/generated")
if(KEYMELD_IMAGE)
  # No path of the machine gets into a program: file names count from the root of the tree, whether the compiler is given them whole or,
  # by ccache, from the build folder. The last option that fits is the one that counts.
  file(RELATIVE_PATH keymeld_up "${CMAKE_BINARY_DIR}" "${CMAKE_SOURCE_DIR}")
  add_compile_options(
    "-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=" "-ffile-prefix-map=${keymeld_up}=" "-ffile-prefix-map=${CMAKE_BINARY_DIR}/="
    -ffunction-sections -fdata-sections)
endif()
if(KEYMELD_SANITIZE)
  # Half the time to compile, and better stacks.
  set(CMAKE_CXX_FLAGS_RELEASE "-O1")
  set(CMAKE_C_FLAGS_RELEASE "-O1")
  add_compile_options(-fsanitize=${KEYMELD_SANITIZE} -fno-sanitize-recover=all -g1)
  add_link_options(-fsanitize=${KEYMELD_SANITIZE})
  if(KEYMELD_SANITIZE STREQUAL "thread")
    # ThreadSanitizer does not model fences, and GCC says so for each of Asio's. Ours cross threads behind mutexes.
    add_compile_options($<$<CXX_COMPILER_ID:GNU>:-Wno-tsan>)
    add_compile_definitions(BOOST_ASIO_DISABLE_FENCED_BLOCK)
  endif()
  # Asio keeps freed blocks and coroutine frames for reuse, which hides a use after free from AddressSanitizer.
  add_compile_definitions(KEYMELD_SANITIZED=1
    BOOST_ASIO_DISABLE_SMALL_BLOCK_RECYCLING BOOST_ASIO_DISABLE_AWAITABLE_FRAME_RECYCLING)
else()
  add_compile_definitions($<$<CONFIG:Release>:_FORTIFY_SOURCE=2>)
  add_link_options(-Wl,-z,relro,-z,now)
endif()
if(KEYMELD_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
