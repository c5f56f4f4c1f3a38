#include "src/evm/rpc.h"

#include <charconv>

#include "src/base/text.h"

namespace paycurl::evm {
namespace {

constexpr std::size_t kMaxAnswer = 4 << 20;

Error backend(std::string message) {
  return {Kind::backend, std::move(message), "try another node with --rpc-url or PAYCURL_RPC_URL"};
}

/// The result or the error of one response object.
Result<Json> outcome_of(const Json& response) {
  if (const Json* failure = response.find("error"); failure != nullptr && !failure->is_null()) {
    const auto message = failure->string_at("message");
    return backend("the node says: " + (message ? printable(*message) : std::string("an error")));
  }
  const Json* result = response.find("result");
  if (result == nullptr) return backend("the node's answer has neither a result nor an error");
  return *result;
}

const Json* response_to(const Json& answers, std::int64_t id) {
  if (answers.items() == nullptr) return answers.find("id") != nullptr ? &answers : nullptr;
  for (const Json& answer : *answers.items()) {
    const Json* found = answer.find("id");
    if (found != nullptr && found->integer() == id) return &answer;
  }
  return nullptr;
}

}  // namespace

Result<std::vector<Result<Json>>> Rpc::ask(const std::vector<RpcCall>& calls,
                                           http::Duration deadline) {
  auto url = http::parse_url(url_);
  if (!url) return Error{Kind::usage, "the RPC URL: " + url.error().message};
  if (url->websocket) {
    return Error{Kind::usage, "the RPC URL: nodes are asked over http and https"};
  }
  Json batch = Json::array();
  std::int64_t id = 0;
  for (const RpcCall& call : calls) {
    batch.push(Json::object(
        {{"jsonrpc", "2.0"}, {"id", ++id}, {"method", call.method}, {"params", call.params}}));
  }
  http::Request request;
  request.method = "POST";
  request.url = std::move(*url);
  request.headers.add("Content-Type", "application/json");
  request.body = std::make_shared<const http::Body>(
      calls.size() == 1 ? batch.items()->front().dump() : batch.dump());
  request.deadlines.connect = std::min<http::Duration>(deadline, std::chrono::seconds(5));
  request.deadlines.total = deadline;
  const std::string place = request.url.host;
  auto answer = http::fetch(client_, std::move(request), kMaxAnswer);
  if (!answer && answer.error().kind != Kind::transport) return answer.error();
  if (!answer) {
    return backend("the node " + printable(place) + " cannot be asked: " + answer.error().message);
  }
  const auto json = Json::parse(answer->body, kMaxAnswer);
  if (!json) {
    return backend("the node " + printable(place) + " answered " +
                   std::to_string(answer->head.status) + " without JSON");
  }
  std::vector<Result<Json>> outcomes;
  for (std::int64_t asked = 1; asked <= id; ++asked) {
    const Json* response = response_to(*json, asked);
    outcomes.push_back(response == nullptr ? Result<Json>(backend("the node left a question out"))
                                           : outcome_of(*response));
  }
  return outcomes;
}

Result<Json> Rpc::ask(const std::string& method, Json params, http::Duration deadline) {
  auto outcomes = ask(std::vector<RpcCall>{{method, std::move(params)}}, deadline);
  if (!outcomes) return outcomes.error();
  return std::move(outcomes->front());
}

Result<Amount> read_quantity(const Json& value) {
  const std::string* text = value.string();
  const Error bad = backend("the node's answer is no number");
  if (text == nullptr || !text->starts_with("0x") || text->size() < 3) return bad;
  const std::string padded = text->size() % 2 == 0 ? text->substr(2) : "0" + text->substr(2);
  const auto bytes = from_hex(padded);
  if (!bytes) return bad;
  const auto amount = Amount::from_big_endian(*bytes);
  if (!amount) return bad;
  return *amount;
}

Result<std::uint64_t> read_quantity64(const Json& value) {
  const auto amount = read_quantity(value);
  if (!amount) return amount.error();
  if (*amount > Amount(UINT64_MAX)) return backend("the node's answer is too large a number");
  std::uint64_t number = 0;
  const std::string text = amount->decimal();
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

Result<Bytes> read_data(const Json& value) {
  const std::string* text = value.string();
  if (text == nullptr || !text->starts_with("0x")) return backend("the node's answer is no data");
  auto bytes = from_hex(*text);
  if (!bytes) return backend("the node's answer is no data");
  return bytes;
}

std::string quantity(std::uint64_t value) {
  std::array<char, 17> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value, 16);
  return "0x" + std::string(digits.data(), end.ptr);
}

}  // namespace paycurl::evm
