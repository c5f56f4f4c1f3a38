// The vocabulary: amounts, bytes, JSON, text, time, secrets.
#include <doctest/doctest.h>
#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/money.h"
#include "src/base/secret.h"
#include "src/base/text.h"
#include "tests/unit/vectors.h"

namespace paycurl {
namespace {

const std::string kMax =
    "115792089237316195423570985008687907853269984665640564039457584007913129639935";

TEST_CASE("an amount is read only in its one spelling") {
  for (const char* text : {"0", "1", "10000", kMax.c_str()}) {
    CAPTURE(text);
    REQUIRE(Amount::parse(text).has_value());
    CHECK(Amount::parse(text)->decimal() == text);
  }
  const std::string too_large =
      "115792089237316195423570985008687907853269984665640564039457584007913129639936";
  for (const std::string& text :
       {std::string(), std::string("00"), std::string("010000"), std::string("0x2710"),
        std::string("1e3"), std::string("-1"), std::string("+1"), std::string(" 1"),
        std::string("1 "), std::string("1.0"), std::string("1_000"), std::string("１"), too_large,
        std::string(80, '9')}) {
    CAPTURE(text);
    CHECK_FALSE(Amount::parse(text).has_value());
  }
}

TEST_CASE("amounts are added, taken away and multiplied without wrapping") {
  const Amount max = *Amount::parse(kMax);
  CHECK_FALSE(max.plus(1).has_value());
  CHECK_FALSE(Amount().minus(1).has_value());
  CHECK_FALSE(max.times(2).has_value());
  CHECK(max.minus(max) == Amount());
  CHECK(max.times(0) == Amount());
  const Amount limb = *Amount::parse("18446744073709551616");  // 2^64
  CHECK(limb.minus(1) == Amount(UINT64_MAX));
  CHECK(Amount(UINT64_MAX).plus(1) == limb);
  CHECK(limb.times(UINT64_MAX)->decimal() == "340282366920938463444927863358058659840");
  CHECK(limb > Amount(UINT64_MAX));
  CHECK(Amount::from_big_endian(limb.big_endian()) == limb);
  CHECK(limb.divided_by(10).remainder == 6);
}

TEST_CASE("whole tokens and base units") {
  const struct {
    const char* text;
    int decimals;
    const char* base;
  } kCases[] = {{"0.01", 6, "10000"},   {"1", 6, "1000000"},
                {"0", 6, "0"},          {"0.000001", 6, "1"},
                {"1.50", 6, "1500000"}, {"123", 0, "123"},
                {"0.0", 2, "0"},        {"1000000.5", 18, "1000000500000000000000000"}};
  for (const auto& c : kCases) {
    const auto& text = c.text;
    const int decimals = c.decimals;
    const auto& base = c.base;
    CAPTURE(text);
    REQUIRE(parse_units(text, decimals).has_value());
    CHECK(parse_units(text, decimals)->decimal() == base);
  }
  for (const char* text :
       {"", ".", "1.", ".5", "0.0000001", "1e2", "-1", "01", "1,5", "0x1", "1.2.3"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_units(text, 6).has_value());
  }
  CHECK(format_units(10000, 6) == "0.01");
  CHECK(format_units(1500000, 6) == "1.5");
  CHECK(format_units(0, 6) == "0");
  CHECK(format_units(7, 0) == "7");
  CHECK(format_units(1, 36) == "0.000000000000000000000000000000000001");
}

TEST_CASE("base64url has one text for one meaning") {
  CHECK(to_base64url(as_bytes("f")) == "Zg");
  CHECK(to_base64(as_bytes("f")) == "Zg==");
  CHECK(as_text(*from_base64url("Zm9vYg")) == "foob");
  CHECK(as_text(*from_base64url("Zg==")) == "f");
  CHECK(as_text(*from_base64("Zm8=")) == "fo");
  CHECK(from_base64url("")->empty());
  for (const char* text :
       {"Zg=", "Z", "Zh", "Zm9=", "Zg===", "Z g", "Zg\n", "_-+/", "a+b=", "====", "Zg=Zg", "é"}) {
    CAPTURE(text);
    CHECK_FALSE(from_base64url(text).has_value());
  }
  CHECK_FALSE(from_base64("_-8=").has_value());
  std::uint32_t seed = 1;
  for (std::size_t size = 0; size < 70; ++size) {
    Bytes bytes(size);
    for (auto& byte : bytes)
      byte = static_cast<std::uint8_t>(seed = seed * 1664525 + 1013904223) ^ 0x5a;
    CHECK(*from_base64url(to_base64url(bytes)) == bytes);
    CHECK(*from_base64(to_base64(bytes)) == bytes);
  }
}

TEST_CASE("hex") {
  CHECK(to_0x(as_bytes("\x01\xff")) == "0x01ff");
  CHECK(*from_hex("0x01FF") == Bytes{0x01, 0xff});
  CHECK(from_hex("")->empty());
  CHECK_FALSE(from_hex("0x1").has_value());
  CHECK_FALSE(from_hex("zz").has_value());
}

TEST_CASE("JSON that two readers could read differently is refused") {
  CHECK(Json::parse(R"({"a":1,"a":2})").error().message == "a key stands twice in one object");
  CHECK(Json::parse(R"({"a":1,"\u0061":2})").error().message == "a key stands twice in one object");
  for (const char* text :
       {"", "{", "{}x", "{'a':1}", "[1,]", "\"\\ud800\"", "\"\xff\"", "nul", "01", "+1", ".5",
        "1e999", "\"\t\"", "/* */{}", "NaN", "\xef\xbb\xbf{}x"}) {
    CAPTURE(text);
    CHECK_FALSE(Json::parse(text).has_value());
  }
  CHECK(Json::parse(std::string(32, '[') + std::string(32, ']')).has_value());
  CHECK_FALSE(Json::parse(std::string(33, '[') + std::string(33, ']')).has_value());
  CHECK_FALSE(Json::parse(std::string(5000, '[')).has_value());
  CHECK_FALSE(Json::parse("\"" + std::string(70000, 'a') + "\"").has_value());
  std::string many = "{";
  for (int i = 0; i < 5000; ++i)
    many += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\":0";
  CHECK(Json::parse(many + "}", 1 << 20).error().message == "too many members in one object");
}

TEST_CASE("checked reads of JSON members") {
  const Json json = *Json::parse(R"({"s":"x","n":5,"b":true,"z":null,"big":18446744073709551616})");
  CHECK(*json.string_at("s") == "x");
  CHECK_FALSE(json.string_at("n").has_value());
  CHECK_FALSE(json.string_at("missing").has_value());
  CHECK(**json.optional_integer_at("n") == 5);
  CHECK_FALSE(json.optional_integer_at("z")->has_value());
  CHECK_FALSE(json.optional_integer_at("big").has_value());
  CHECK(**json.optional_boolean_at("b"));
  CHECK_FALSE(json.optional_boolean_at("s").has_value());
}

TEST_CASE("canonical JSON: RFC 8785") {
  for (const Json& c : test::list(test::load("tempo-payment-request"), "cases")) {
    const std::string canonical = test::text(c, "canonical");
    CAPTURE(canonical);
    CHECK(test::at(c, "json").canonical() == canonical);
    CHECK(to_base64url(as_bytes(canonical)) == test::text(c, "encoded"));
    CHECK(Json::parse(as_text(*from_base64url(test::text(c, "encoded"))))->canonical() ==
          canonical);
  }
}

TEST_CASE("JSON that we write is valid whatever went in") {
  const Json json =
      Json::object({{"a\n", "\xff\x01\"\\"}, {"n", 1.5}, {"i", INT64_C(9007199254740993)}});
  CHECK(json.dump() ==
        "{\"a\\n\":\"\xef\xbf\xbd\\u0001\\\"\\\\\",\"n\":1.5,\"i\":9007199254740993}");
  CHECK(Json::parse(json.dump()).has_value());
}

TEST_CASE("text from outside cannot move the cursor or hide") {
  CHECK(printable("price\x1b[2K") == "price\\u{1b}[2K");
  CHECK(printable("a\nb\tc\r") == "a\\u{a}b\\u{9}c\\u{d}");
  CHECK(printable("\xe2\x80\xae"
                  "abc") == "\\u{202e}abc");  // right-to-left override
  CHECK(printable("a\xe2\x80\x8b"
                  "b") == "a\\u{200b}b");  // zero width space
  CHECK(printable("\xc2\x9b"
                  "31m") == "\\u{9b}31m");               // C1 control sequence introducer
  CHECK(printable("\xf3\xa0\x81\x81") == "\\u{e0041}");  // tag letter
  CHECK(printable("\xff\xc0\x80") == "\\x{ff}\\x{c0}\\x{80}");
  CHECK(printable("grün ✓ 😀") == "grün ✓ 😀");
  CHECK(printable(std::string(300, 'x')).size() == 200 + 3);
  CHECK(valid_utf8("a\xed\xa0\x80z") == "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz");  // a surrogate
}

TEST_CASE("RFC 3339") {
  CHECK(*parse_rfc3339("1970-01-01T00:00:00Z") == 0);
  CHECK(*parse_rfc3339("2026-11-20T12:00:00+02:00") == *parse_rfc3339("2026-11-20T10:00:00Z"));
  CHECK(*parse_rfc3339("2026-11-20T12:00:00.5Z") % 1000 == 500);
  CHECK(*parse_rfc3339("2026-11-20t12:00:00.123456789z") % 1000 == 123);
  CHECK(format_rfc3339(*parse_rfc3339("2028-02-29T23:59:59.007Z")) == "2028-02-29T23:59:59.007Z");
  CHECK(format_rfc3339(1000) == "1970-01-01T00:00:01Z");
  for (const char* text :
       {"tomorrow", "2026-11-20", "2026-11-20T12:00:00", "2026-13-01T00:00:00Z",
        "2026-02-29T00:00:00Z", "2026-11-20T24:00:00Z", "2026-11-20T12:60:00Z",
        "2026-11-20T12:00:00.Z", "2026-11-20T12:00:00+2:00", "2026-11-20 12:00:00Z",
        "2026-11-20T12:00:00Zx", "-026-11-20T12:00:00Z"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_rfc3339(text).has_value());
  }
}

TEST_CASE("a secret is moved, never copied, and wiped") {
  Secret first;
  first.assign(as_bytes("hunter2"));
  Secret second = std::move(first);
  CHECK(second.text() == "hunter2");
  second.resize(3);
  CHECK(second.text() == "hun");
  CHECK(second.buffer()[3] == 0);
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  REQUIRE(::write(ends[1], "key\n", 4) == 4);
  ::close(ends[1]);
  CHECK(read_secret(ends[0])->text() == "key\n");
  CHECK_FALSE(read_secret(ends[0]).has_value());  // at its end: empty
  ::close(ends[0]);
}

TEST_CASE("the exit status of an error") {
  CHECK(Error{Kind::declined, ""}.exit_status() == 102);
  Error transport{Kind::transport, ""};
  transport.transport = 28;
  CHECK(transport.exit_status() == 28);
  transport.transport = 101;
  CHECK(transport.exit_status() == 56);
  CHECK(Error{Kind::protocol, "bad"}.within("reading").message == "reading: bad");
}

}  // namespace
}  // namespace paycurl
