// The file name that a Content-Disposition gives.
#include "commands/body_file.h"
#include "tests/fuzz/fuzz.h"

void paycurl::fuzz_one(std::string_view input) {
  using namespace std::string_view_literals;
  const std::string name = disposition_name(input);
  FUZZ_CHECK(name != "." && name != "..");
  FUZZ_CHECK(name.find_first_of("/\\\r\n\0"sv) == std::string::npos);
}
