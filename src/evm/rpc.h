// JSON-RPC 2.0 to a chain's node: several questions in one round trip, no answer believed unread.
#pragma once

#include <string>
#include <vector>

#include "src/base/bytes.h"
#include "src/base/json.h"
#include "src/base/money.h"
#include "src/http/client.h"

namespace paycurl::evm {

struct RpcCall {
  std::string method;
  Json params;
};

class Rpc {
 public:
  /// `url` is http or https.
  Rpc(http::Client& client, std::string url) : client_(client), url_(std::move(url)) {}

  /// Asks all of `calls` in one batch. The outer error (Kind::backend) means that nobody answered;
  /// each inner one that this call failed, with the node's words.
  Result<std::vector<Result<Json>>> ask(const std::vector<RpcCall>& calls,
                                        http::Duration deadline = std::chrono::seconds(10));
  /// One question.
  Result<Json> ask(const std::string& method, Json params,
                   http::Duration deadline = std::chrono::seconds(10));

 private:
  http::Client& client_;
  std::string url_;
};

/// "0x1f4" as a number; Kind::backend when it is not one.
Result<Amount> read_quantity(const Json& value);
/// The same, for what must fit into 64 bits.
Result<std::uint64_t> read_quantity64(const Json& value);
/// "0x..." as bytes.
Result<Bytes> read_data(const Json& value);
/// 500 as "0x1f4".
std::string quantity(std::uint64_t value);

}  // namespace paycurl::evm
