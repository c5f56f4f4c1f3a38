// A folder that lives as long as its test.
#pragma once

#include <filesystem>
#include <string>

#include <doctest/doctest.h>

namespace paycurl::test {

class Folder {
 public:
  Folder() {
    // In memory where that is possible: thousands of durable commits are tested elsewhere.
    std::string name = std::filesystem::exists("/dev/shm") ? "/dev/shm/paycurl-test-XXXXXX"
                                                           : "/tmp/paycurl-test-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace paycurl::test
