# GoogleTest: GTest::gtest, GTest::gmock and GTest::gtest_main. Tried in this order:
#   1. the system's package, found by find_package;
#   2. the sources Debian and Ubuntu install under /usr/src (what a cross build uses), or those that
#      FETCHCONTENT_SOURCE_DIR_GOOGLETEST names;
#   3. a download, accepted only with the hash below;
#   4. the distribution's own source package through apt-get, unpacked here, nothing installed.
include_guard(GLOBAL)

set(VICINAL_GOOGLETEST_URL
  https://github.com/google/googletest/archive/refs/tags/release-1.12.1.tar.gz)
set(VICINAL_GOOGLETEST_SHA256 81964fe578e9bd7c94dfdb09c8e4d6e6759e19967e397dbea48d1c10e45d0df2)

# A thread sanitizer run needs GoogleTest itself instrumented: its locks are otherwise invisible.
# Debian's package of GTest can be there without that of GMock; its targets are then half a set.
find_library(VICINAL_GMOCK_LIBRARY gmock)
if(VICINAL_GMOCK_LIBRARY AND NOT VICINAL_SANITIZE MATCHES thread
   AND NOT FETCHCONTENT_SOURCE_DIR_GOOGLETEST)
  find_package(GTest QUIET)
endif()

function(vicinal_download_googletest out)
  set(into ${CMAKE_BINARY_DIR}/googletest)
  set(archive ${into}/googletest.tar.gz)
  if(EXISTS ${into}/source/CMakeLists.txt)
    set(${out} ${into}/source PARENT_SCOPE)
    return()
  endif()
  message(STATUS "GoogleTest is not installed; downloading it")
  file(MAKE_DIRECTORY ${into})
  file(DOWNLOAD ${VICINAL_GOOGLETEST_URL} ${archive}
       STATUS status TIMEOUT 120 INACTIVITY_TIMEOUT 15)
  list(GET status 0 code)
  if(code EQUAL 0)
    file(SHA256 ${archive} got)
    if(NOT got STREQUAL VICINAL_GOOGLETEST_SHA256)
      message(FATAL_ERROR "${VICINAL_GOOGLETEST_URL} has SHA-256 ${got}, "
                          "not ${VICINAL_GOOGLETEST_SHA256}; refusing to use it")
    endif()
    file(ARCHIVE_EXTRACT INPUT ${archive} DESTINATION ${into})
    file(RENAME ${into}/googletest-release-1.12.1 ${into}/source)
    set(${out} ${into}/source PARENT_SCOPE)
    return()
  endif()

  find_program(VICINAL_APT_GET apt-get)
  find_program(VICINAL_DPKG_DEB dpkg-deb)
  if(VICINAL_APT_GET AND VICINAL_DPKG_DEB)
    # Lists and cache of our own: works without root and leaves the system as it is.
    file(MAKE_DIRECTORY ${into}/lists/partial ${into}/cache/archives/partial)
    set(private -o Dir::State::Lists=${into}/lists -o Dir::Cache=${into}/cache -o Debug::NoLocking=1
                -o APT::Sandbox::User=)
    execute_process(COMMAND ${VICINAL_APT_GET} ${private} -qq update
                    OUTPUT_QUIET ERROR_QUIET TIMEOUT 180)
    execute_process(COMMAND ${VICINAL_APT_GET} ${private} -qq download googletest
                    WORKING_DIRECTORY ${into} OUTPUT_QUIET ERROR_QUIET TIMEOUT 180)
    file(GLOB package ${into}/googletest_*.deb)
    if(package)
      list(GET package 0 package)
      execute_process(COMMAND ${VICINAL_DPKG_DEB} -x ${package} ${into}/package)
    endif()
    if(EXISTS ${into}/package/usr/src/googletest/CMakeLists.txt)
      file(RENAME ${into}/package/usr/src/googletest ${into}/source)
      set(${out} ${into}/source PARENT_SCOPE)
      return()
    endif()
  endif()
  message(FATAL_ERROR
    "The C++ tests need GoogleTest, which is neither installed nor reachable. Install it:\n"
    "  Debian, Ubuntu:  apt-get install libgmock-dev\n"
    "  Fedora:          dnf install gmock-devel\n"
    "  macOS:           brew install googletest")
endfunction()

if(NOT TARGET GTest::gmock)
  if(FETCHCONTENT_SOURCE_DIR_GOOGLETEST)
    set(source ${FETCHCONTENT_SOURCE_DIR_GOOGLETEST})
  elseif(EXISTS /usr/src/googletest/CMakeLists.txt)
    set(source /usr/src/googletest)
  else()
    vicinal_download_googletest(source)
  endif()
  message(STATUS "GoogleTest from ${source}")
  set(INSTALL_GTEST OFF)
  set(CMAKE_POLICY_DEFAULT_CMP0077 NEW)
  set(gtest_force_shared_crt ON)
  set(CMAKE_POLICY_VERSION_MINIMUM 3.10)  # its own lists ask for an older CMake than 4.x speaks
  add_subdirectory(${source} ${CMAKE_BINARY_DIR}/googletest/build EXCLUDE_FROM_ALL)
  foreach(part gtest gmock gtest_main)
    if(NOT TARGET GTest::${part})
      add_library(GTest::${part} ALIAS ${part})
    endif()
  endforeach()
endif()
include(GoogleTest)
