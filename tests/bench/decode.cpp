// How many Lightning invoices are read and verified in a second:
//     cmake --build --preset release --target bench_decode && build/release/tests/bench_decode
#include <chrono>
#include <cstdio>

#include "src/methods/lightning/bolt11.h"
#include "tests/unit/methods/bolt11_encoder.h"

int main() {
  using Seconds = std::chrono::duration<double>;
  paycurl::test::InvoiceFields fields;
  fields.msat = 100'000;
  const std::string text = paycurl::test::encode(fields);
  const auto start = std::chrono::steady_clock::now();
  int read = 0;
  Seconds taken{};
  while (taken < Seconds(2)) {
    for (int i = 0; i < 1000; ++i) {
      if (!paycurl::lightning::read_invoice(text)) return 1;
    }
    read += 1000;
    taken = std::chrono::steady_clock::now() - start;
  }
  std::printf("%.0f invoices of %zu characters in a second\n", read / taken.count(), text.size());
  return 0;
}
