// Server-Sent Events: the vectors, the standard's own examples, every way of cutting a stream.
#include "src/http/sse.h"

#include <vector>

#include <doctest/doctest.h>

#include "tests/unit/vectors.h"

namespace paycurl::http {
namespace {

struct Read {
  std::vector<ServerEvent> events;
  std::string raw;
};

/// Reads `stream` in pieces of `size` bytes behind a first one of `first`.
Read read(std::string_view stream, std::size_t first, std::size_t size) {
  Read found;
  EventParser parser([&](const ServerEvent& event) -> Result<> {
    found.raw += event.raw;
    found.events.push_back(event);
    return {};
  });
  while (!stream.empty()) {
    const std::size_t piece = std::min(std::exchange(first, size), stream.size());
    REQUIRE(parser.feed(stream.substr(0, piece)).has_value());
    stream.remove_prefix(piece);
  }
  found.raw += parser.rest();
  return found;
}

/// "name|data|id" of every event that has data.
std::string told(const Read& found) {
  std::string text;
  for (const ServerEvent& event : found.events) {
    if (event.has_data) text += event.name + "|" + event.data + "|" + event.id + ";";
  }
  return text;
}

void check(const std::string& stream, const std::string& events) {
  CAPTURE(stream);
  const auto fits = [&](const Read& found) { return told(found) == events && found.raw == stream; };
  CHECK(told(read(stream, stream.size(), 1)) == events);
  for (std::size_t cut = 1; cut < stream.size(); ++cut) {
    CHECK(fits(read(stream, cut, stream.size())));
  }
  CHECK(fits(read(stream, 1, 1)));
}

TEST_CASE("tempo-sse vectors") {
  int count = 0;
  for (const Json& vector : test::list(test::load("tempo-sse"), "cases")) {
    const std::string raw = test::text(vector, "raw");
    const Json* parsed = vector.find("parsed");
    const Read found = read(raw, 1, 1);
    REQUIRE(found.events.size() == 1);
    const ServerEvent& event = found.events[0];
    CAPTURE(raw);
    ++count;
    if (parsed->is_null()) {  // a comment, or a payment event whose content is wrong
      CHECK((!event.has_data || event.name.starts_with("payment-")));
      continue;
    }
    const std::string type = *parsed->string_at("type");
    const bool is_payment = event.name.starts_with("payment-");
    CHECK((is_payment ? event.name : "message") == type);
    const Json* data = parsed->find("data");
    CHECK((data->string() != nullptr ? event.data == *data->string()
                                     : Json::parse(event.data)->dump() == data->dump()));
  }
  CHECK(count == 11);
}

TEST_CASE("the standard's examples, at every split") {
  check("data: YHOO\ndata: +2\ndata: 10\n\n", "message|YHOO\n+2\n10|;");
  check(
      ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third "
      "event\n\n",
      "message|first event|1;message|second event|;message| third event|;");
  check("data\n\ndata\ndata\n\ndata:", "message||;message|\n|;");
  check("data:test\n\ndata: test\n\n", "message|test|;message|test|;");
  check("event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\n",
        "add|73857293|;remove|2153|;");
}

TEST_CASE("line ends, byte order marks, split letters, unknown fields") {
  check("data: a\rdata: b\r\rdata: c\r\n\r\n", "message|a\nb|;message|c|;");
  check(
      "\xef\xbb\xbf"
      "data: \xc3\xa9\xe2\x82\xac\n\n\xef\xbb\xbf"
      "data: no\n\n",
      "message|\xc3\xa9\xe2\x82\xac|;");
  check("retry: 10\nfoo: bar\ndata: x\nid: 7\n\ndata: y\n\n", "message|x|7;message|y|7;");
  check("event: lonely\n\ndata: z\n\n", "message|z|;");
  check(std::string("id: a\0b\ndata: q\n\n", 17), "message|q|;");
}

TEST_CASE("an event has an end, and a sink may stop the stream") {
  EventParser endless([](const ServerEvent&) { return Result<>(); });
  const std::string piece(1 << 16, 'x');
  int fed = 0;
  while (endless.feed(piece))
    ++fed;
  CHECK(fed == 15);
  EventParser stopped([](const ServerEvent&) -> Result<> {
    return Error{Kind::interrupted, "no"};
  });
  CHECK(stopped.feed("data: x\n").has_value());
  CHECK(!stopped.feed("\n").has_value());
}

}  // namespace
}  // namespace paycurl::http
