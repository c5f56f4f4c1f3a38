// Swaps on Tempo: what may leave the payer, and the calls that do it.
#include "src/methods/tempo/swap.h"

#include <doctest/doctest.h>

#include "tests/unit/vectors.h"

namespace paycurl::tempo {
namespace {

const std::string kPath = "0x20c0000000000000000000000000000000000000";
const std::string kAlpha = "0x20c0000000000000000000000000000000000001";

TEST_CASE("the most that a swap takes: the quote and its slippage, rounded up") {
  CHECK(*most_in(10'001, 100) == Amount(10'102));  // 100.01 more
  CHECK(*most_in(10'000, 100) == Amount(10'100));
  CHECK(*most_in(10'001, 0) == Amount(10'001));
  CHECK(*most_in(1, 1) == Amount(2));
  CHECK(*most_in(10'001, 10'000) == Amount(20'002));
}

TEST_CASE("prices that make no sense") {
  const Amount largest = *Amount::parse("340282366920938463463374607431768211455");  // 2^128-1
  const Amount max = *Amount::parse(
      "115792089237316195423570985008687907853269984665640564039457584007913129639935");
  CHECK_FALSE(most_in(0, 100).has_value());
  CHECK(*most_in(largest, 0) == largest);
  CHECK_FALSE(most_in(largest, 1).has_value());
  CHECK_FALSE(most_in(*largest.plus(1), 0).has_value());
  CHECK_FALSE(most_in(max, 0).has_value());
  CHECK_FALSE(most_in(max, 100).has_value());
}

TEST_CASE("the calls of a swap, as viem encodes them") {
  std::string expected;
  for (const Json& c : test::list(test::load("tempo-abi"), "cases")) {
    if (test::text(c, "fn") == "swapExactAmountOut(address,address,uint128,uint128)") {
      expected = test::text(c, "data");
    }
  }
  const auto calls = swap_calls(*Address::parse(kPath), *Address::parse(kAlpha), 10'000, 10'101);
  REQUIRE(calls.size() == 2);
  CHECK(calls[0].to.lower_hex() == kPath);
  CHECK(to_0x(calls[0].input) ==
        "0x095ea7b3000000000000000000000000dec0000000000000000000000000000000000000"
        "0000000000000000000000000000000000000000000000000000000000002775");
  CHECK(calls[1].to.lower_hex() == "0xdec0000000000000000000000000000000000000");
  CHECK(to_0x(calls[1].input) == expected);
}

}  // namespace
}  // namespace paycurl::tempo
