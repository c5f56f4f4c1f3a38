#include "src/payment/identity.h"

#include <algorithm>
#include <array>

#include "src/base/text.h"

namespace paycurl {
namespace {

constexpr std::uint64_t kMaxRecordedBody = 1U << 20;
constexpr std::string_view kSigning = "sign:";  // identities of requests are hex

bool is_secret_field(std::string_view name) {
  constexpr std::array<std::string_view, 3> kSecret{"authorization", "cookie",
                                                    "proxy-authorization"};
  return std::any_of(kSecret.begin(), kSecret.end(),
                     [&](std::string_view secret) { return equals_ignoring_case(name, secret); });
}

}  // namespace

Result<Digest> body_digest(const http::Request& request) {
  return request.body ? request.body->sha256() : Result<Digest>(sha256({}));
}

bool is_digest_of(std::string_view text, const Digest& body) {
  constexpr std::string_view kAlgorithm = "sha-256=";
  if (!text.starts_with(kAlgorithm)) return false;
  text.remove_prefix(kAlgorithm.size());
  if (text.size() > 2 && text.front() == ':' && text.back() == ':') {
    text = text.substr(1, text.size() - 2);
  }
  return text == to_base64(body);
}

Result<std::string> identity_of(const http::Request& request, const std::string& payer) {
  Sha256 hash;
  const auto add = [&](std::string_view text) {
    hash.update(as_bytes(std::to_string(text.size()) + ":"));
    hash.update(as_bytes(text));
  };
  add(request.method);
  add(request.url.text);
  const auto body = body_digest(request);
  if (!body) return body.error();
  add(to_hex(*body));
  add(payer);
  if (!request.target.empty()) add(request.target);
  for (const http::Header& field : request.headers) {
    if (is_secret_field(field.name) || equals_ignoring_case(field.name, "accept-payment")) continue;
    add(lower(field.name));
    add(field.value);
  }
  return to_hex(hash.finish());
}

std::string identity_of_signing(const Challenge& challenge, const std::string& payer) {
  const Json whole = Json::object(
      {{"protocol", challenge.protocol}, {"challenge", challenge.echo}, {"payer", payer}});
  return std::string(kSigning) + to_hex(sha256(as_bytes(whole.canonical())));
}

bool is_signing(const Row& row) {
  return row.identity.starts_with(kSigning);
}

RecordedRequest record_of(const http::Request& request) {
  RecordedRequest record;
  // What the row has no words for: the same command has them again.
  if (request.reach || !request.target.empty() || request.url.as_is) record.complete = false;
  for (const http::Header& field : request.headers) {
    if (is_secret_field(field.name)) {
      record.complete = false;
    } else {
      record.headers.emplace_back(field.name, field.value);
    }
  }
  if (request.cookies) record.complete = false;
  record.removed_headers = request.removed_headers;
  if (request.body) {
    if (auto text = request.body->text(kMaxRecordedBody); text && *text) {
      record.body = std::move(**text);
    }
    if (!record.body) record.complete = false;
  }
  return record;
}

Result<http::Request> request_of(const Row& row) {
  http::Request request;
  auto url = http::parse_url(row.url);
  if (!url) return url.error();
  request.method = row.http_method;
  request.url = std::move(*url);
  if (!row.request) return request;
  for (const auto& [name, value] : row.request->headers) {
    request.headers.add(name, value);
  }
  request.removed_headers = row.request->removed_headers;
  if (row.request->body) request.body = std::make_shared<const http::Body>(*row.request->body);
  return request;
}

}  // namespace paycurl
