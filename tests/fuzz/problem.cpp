// Problem Details, and that its text is safe for a terminal.
#include "src/payment/problem.h"

#include "tests/fuzz/fuzz.h"

void paycurl::fuzz_one(std::string_view input) {
  const auto problem = parse_problem(input);
  if (!problem) return;
  for (const char c : problem->text())
    FUZZ_CHECK(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
}
