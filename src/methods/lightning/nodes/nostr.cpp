#include "src/methods/lightning/nodes/nostr.h"

#include <algorithm>

namespace paycurl::lightning {
namespace {

constexpr std::size_t kLongestMessage = 256 * 1024;

Error bad(const char* what) {
  return {Kind::protocol, what};
}

bool has_control(const std::string& text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20; });
}

Json tags_json(const std::vector<NostrEvent::Tag>& tags) {
  Json all = Json::array();
  for (const NostrEvent::Tag& tag : tags) {
    Json one = Json::array();
    for (const std::string& value : tag) {
      one.push(value);
    }
    all.push(std::move(one));
  }
  return all;
}

/// Without control characters, Json writes strings exactly as NIP-01 asks for.
Digest id_of(const NostrEvent& event) {
  Json all = Json::array();
  all.push(0).push(to_hex(event.author)).push(event.created).push(event.kind);
  all.push(tags_json(event.tags)).push(event.content);
  return sha256(as_bytes(all.dump()));
}

/// Reads lower-case hex: upper case would be a second spelling of an ID that is compared as text.
template <std::size_t N>
bool read_hex(const Json& json, std::string_view key, ByteArray<N>& out) {
  const auto text = json.string_at(key);
  return text && from_hex(*text, out).has_value() && to_hex(out) == *text;
}

bool read_tags(const Json* tags, std::vector<NostrEvent::Tag>& out) {
  if (tags == nullptr || tags->items() == nullptr) return false;
  for (const Json& tag : *tags->items()) {
    if (tag.items() == nullptr) return false;
    NostrEvent::Tag& values = out.emplace_back();
    for (const Json& value : *tag.items()) {
      if (value.string() == nullptr || has_control(*value.string())) return false;
      values.push_back(*value.string());
    }
  }
  return true;
}

}  // namespace

bool NostrEvent::has_tag(std::string_view name, std::string_view value) const {
  return std::any_of(tags.begin(), tags.end(), [&](const Tag& tag) {
    return tag.size() >= 2 && tag[0] == name && tag[1] == value;
  });
}

const std::string* NostrEvent::tag(std::string_view name) const {
  const auto found = std::find_if(
      tags.begin(), tags.end(), [&](const Tag& tag) { return tag.size() >= 2 && tag[0] == name; });
  return found == tags.end() ? nullptr : &(*found)[1];
}

Json NostrEvent::json() const {
  return Json::object({{"id", to_hex(id)},
                       {"pubkey", to_hex(author)},
                       {"created_at", created},
                       {"kind", kind},
                       {"tags", tags_json(tags)},
                       {"content", content},
                       {"sig", to_hex(signature)}});
}

NostrEvent signed_event(NostrEvent event, const PrivateKey& key) {
  event.author = key.x_only_key();
  event.id = id_of(event);
  event.signature = key.sign_schnorr(event.id);
  return event;
}

Result<NostrEvent> read_event(const Json& json) {
  NostrEvent event;
  const auto content = json.string_at("content");
  const auto created = json.optional_integer_at("created_at");
  const auto kind = json.optional_integer_at("kind");
  if (!read_hex(json, "id", event.id) || !read_hex(json, "pubkey", event.author) ||
      !read_hex(json, "sig", event.signature) || !content || has_control(*content) || !created ||
      !*created || !kind || !*kind || !read_tags(json.find("tags"), event.tags)) {
    return bad("an event that cannot be read");
  }
  event.content = *content;
  event.created = **created;
  event.kind = **kind;
  if (id_of(event) != event.id) return bad("an event whose ID is not its own");
  if (!verify_schnorr(event.id, event.signature, event.author)) {
    return bad("an event that its author did not sign");
  }
  return event;
}

Result<RelayMessage> read_relay_message(std::string_view text) {
  const auto json = Json::parse(text, kLongestMessage);
  if (!json) return json.error();
  const Json::Array* parts = json->items();
  if (parts == nullptr || parts->empty() || parts->front().string() == nullptr) {
    return bad("no message of a relay");
  }
  using What = RelayMessage::What;
  const std::string& name = *parts->front().string();
  RelayMessage message;
  message.what = name == "EVENT"    ? What::event
                 : name == "EOSE"   ? What::end_of_stored
                 : name == "OK"     ? What::ok
                 : name == "CLOSED" ? What::closed
                                    : What::other;
  if (message.what == What::other) return message;
  const auto at = [&](std::size_t i) { return i < parts->size() ? (*parts)[i] : Json(); };
  if (at(1).string() == nullptr) return bad("no message of a relay");
  message.subject = *at(1).string();
  if (message.what == What::event) {
    auto event = read_event(at(2));
    if (!event) return event.error();
    message.event = std::move(*event);
  } else if (message.what == What::ok) {
    if (at(2).boolean() == nullptr) return bad("no message of a relay");
    message.accepted = *at(2).boolean();
    if (const Json why = at(3); why.string() != nullptr) message.text = *why.string();
  } else if (const Json why = at(2); why.string() != nullptr) {
    message.text = *why.string();
  }
  return message;
}

}  // namespace paycurl::lightning
