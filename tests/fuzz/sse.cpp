// Server-Sent Events. However the stream is cut, its blocks are the same, and together they are it.
#include "src/http/sse.h"

#include <string>

#include "tests/fuzz/fuzz.h"

namespace {

/// Every block as text, and the bytes behind the last.
std::string read(std::string_view stream, std::size_t piece, std::string& raw) {
  std::string blocks;
  paycurl::http::EventParser parser([&](const paycurl::http::ServerEvent& event) {
    blocks +=
        event.name + '\0' + event.data + '\0' + event.id + '\0' + (event.has_data ? "1" : "0");
    raw += event.raw;
    return paycurl::Result<>();
  });
  for (; !stream.empty(); stream.remove_prefix(std::min(piece, stream.size()))) {
    if (!parser.feed(stream.substr(0, piece))) break;
  }
  raw += parser.rest();
  return blocks;
}

}  // namespace

void paycurl::fuzz_one(std::string_view input) {
  std::string whole;
  std::string bytewise;
  const std::string events = read(input, input.size(), whole);
  FUZZ_CHECK(read(input, 1, bytewise) == events);
  FUZZ_CHECK(whole == input);
  // A line end cut in two belongs to the next block; together it is all the same.
  FUZZ_CHECK(bytewise == input);
}
