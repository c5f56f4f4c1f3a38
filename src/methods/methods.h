// The payment methods we have.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/payment/method.h"

namespace paycurl {

/// Where the preimage that proves a session is kept for wallets that cannot find it again.
class ProofStore {
 public:
  virtual ~ProofStore() = default;
  /// Keeps it, in place of an earlier one. Kind::account when nothing can be kept.
  virtual Result<> keep(const std::string& session, std::string_view proof) = 0;
  virtual std::optional<std::string> find(const std::string& session) = 0;
  virtual void forget(const std::string& session) = 0;
};

/// What the user said that methods care about.
struct MethodOptions {
  std::optional<std::string> network;  ///< "mainnet", "testnet", a chain id, "signet", "regtest"
  std::function<std::optional<std::string>(std::uint64_t chain)> rpc_url;  ///< the user's node
  bool offline = false;                    ///< never ask a chain or node
  std::optional<bool> push;                ///< --push, --pull
  std::map<std::string, std::string> own;  ///< -M key=value
  std::vector<std::string> swap_from;      ///< --swap-from: addresses, symbols, "auto"
  std::uint32_t slippage = 100;            ///< --slippage, in hundredths of a percent
  std::vector<Asset> tokens;               ///< --token: address, decimals, symbol; network empty
  /// A client for the user's own wallet: no proxy, no trace; trusts `ca_pem` when it is not empty.
  std::function<std::unique_ptr<http::Client>(const std::string& ca_pem)> wallet_client;
  std::shared_ptr<ProofStore> proofs;
  http::Duration patience{50'000};  ///< with a wallet that pays, and with payments under way
  Clock clock = &system_now;
};

/// All methods. Usage error when an option does not make sense.
Result<std::vector<std::unique_ptr<Method>>> make_methods(const MethodOptions& options,
                                                          http::Client& client);

namespace tempo {
/// TIP-20 charges on the Tempo chains.
Result<std::unique_ptr<Method>> make_method(const MethodOptions& options, http::Client& client);
}  // namespace tempo

namespace lightning {
/// BOLT 11 invoices, paid by a wallet of the user's.
Result<std::unique_ptr<Method>> make_method(const MethodOptions& options, http::Client& client);
}  // namespace lightning

}  // namespace paycurl
