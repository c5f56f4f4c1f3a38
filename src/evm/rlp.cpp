#include "src/evm/rlp.h"

#include <algorithm>

namespace paycurl::evm {
namespace {

constexpr int kMaxDepth = 16;
constexpr std::size_t kShort = 55;

Error bad(const char* why) {
  return {Kind::protocol, std::string("not RLP: ") + why};
}

Bytes minimal(std::uint64_t value) {
  Bytes bytes;
  for (; value != 0; value >>= 8) {
    bytes.push_back(static_cast<std::uint8_t>(value));
  }
  std::reverse(bytes.begin(), bytes.end());
  return bytes;
}

/// `base` is 0x80 for strings and 0xc0 for lists.
void append_header(Bytes& out, std::uint8_t base, std::size_t size) {
  if (size <= kShort) {
    out.push_back(static_cast<std::uint8_t>(base + size));
    return;
  }
  const Bytes length = minimal(size);
  out.push_back(static_cast<std::uint8_t>(base + kShort + length.size()));
  out.insert(out.end(), length.begin(), length.end());
}

struct Header {
  bool is_list;
  ByteView payload;
};

/// Takes one item's bytes off the front of `rest`.
Result<Header> take(ByteView& rest) {
  const std::uint8_t first = rest.front();
  if (first < 0x80) {
    const ByteView payload = rest.first(1);
    rest = rest.subspan(1);
    return Header{false, payload};
  }
  const bool is_list = first >= 0xc0;
  std::size_t size = static_cast<std::size_t>(first - (is_list ? 0xc0 : 0x80));
  rest = rest.subspan(1);
  if (size > kShort) {
    const std::size_t digits = size - kShort;
    if (digits > rest.size() || digits > 4) return bad("a length that does not fit");
    size = 0;
    for (const std::uint8_t digit : rest.first(digits)) {
      size = size << 8 | digit;
    }
    if (size <= kShort || rest.front() == 0) return bad("a length that is not minimal");
    rest = rest.subspan(digits);
  }
  if (size > rest.size()) return bad("it is cut");
  const ByteView payload = rest.first(size);
  if (!is_list && size == 1 && payload.front() < 0x80) return bad("a byte that is not minimal");
  rest = rest.subspan(size);
  return Header{is_list, payload};
}

Result<Rlp> decode_one(ByteView& rest, int depth) {
  const auto header = take(rest);
  if (!header) return header.error();
  if (!header->is_list) return Rlp::bytes(header->payload);
  if (depth == kMaxDepth) return bad("nested too deeply");
  Rlp list = Rlp::list();
  for (ByteView payload = header->payload; !payload.empty();) {
    auto item = decode_one(payload, depth + 1);
    if (!item) return item;
    list.items().push_back(std::move(*item));
  }
  return list;
}

}  // namespace

Rlp Rlp::bytes(ByteView content) {
  Rlp item;
  item.bytes_.assign(content.begin(), content.end());
  return item;
}

Rlp Rlp::integer(const Amount& value) {
  const auto all = value.big_endian();
  const auto first =
      std::find_if(all.begin(), all.end(), [](std::uint8_t byte) { return byte != 0; });
  return bytes(ByteView(first, all.end()));
}

Rlp Rlp::list(std::vector<Rlp> items) {
  Rlp item;
  item.is_list_ = true;
  item.items_ = std::move(items);
  return item;
}

Result<Rlp> Rlp::decode(ByteView encoded) {
  if (encoded.empty()) return bad("it is empty");
  auto item = decode_one(encoded, 0);
  if (item && !encoded.empty()) return bad("bytes behind the end");
  return item;
}

Bytes Rlp::encode() const {
  Bytes out;
  append_to(out);
  return out;
}

void Rlp::append_to(Bytes& out) const {
  if (is_list_) {
    Bytes payload;
    for (const Rlp& item : items_) {
      item.append_to(payload);
    }
    append_header(out, 0xc0, payload.size());
    out.insert(out.end(), payload.begin(), payload.end());
    return;
  }
  if (bytes_.size() != 1 || bytes_.front() >= 0x80) append_header(out, 0x80, bytes_.size());
  out.insert(out.end(), bytes_.begin(), bytes_.end());
}

}  // namespace paycurl::evm
