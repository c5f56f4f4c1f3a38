// What paycurl doctor asks of the chains' nodes.
#include <chrono>
#include <tuple>

#include "commands/doctor.h"
#include "src/base/text.h"
#include "src/evm/rpc.h"
#include "src/methods/tempo/chain.h"

namespace paycurl {
namespace {

using Status = Check::Status;
using std::chrono::steady_clock;

constexpr Millis kMostSkew = 30'000;

struct ChainReport {
  Check check;
  std::optional<Millis> skew;  ///< this machine's clock minus the newest block's
};

std::string network_of(const DoctorParts& parts) {
  return parts.options.network.empty() ? parts.globals.settings.network.value_or("")
                                       : parts.options.network;
}

std::vector<std::uint64_t> chains_of(const DoctorParts& parts) {
  const std::string network = network_of(parts);
  if (network.empty()) return {tempo::kMainnet, tempo::kTestnet};
  if (network == "mainnet") return {tempo::kMainnet};
  if (network == "testnet") return {tempo::kTestnet};
  const auto chain = tempo::chain_of("tempo:" + network);
  return chain ? std::vector<std::uint64_t>{*chain} : std::vector<std::uint64_t>{};
}

std::string url_of(const DoctorParts& parts, std::uint64_t chain) {
  if (!parts.options.rpc_url.empty()) return parts.options.rpc_url;
  return parts.globals.settings.rpc_url_of(chain).value_or(tempo::public_rpc(chain));
}

/// Without what may be a secret in it: user, path and query.
std::string shown(const std::string& url) {
  const auto parsed = http::parse_url(url);
  return parsed ? parsed->origin() : "the address";
}

ChainReport look_at(const DoctorParts& parts, std::uint64_t chain) {
  const std::string id = "rpc." + std::to_string(chain);
  const std::string url = url_of(parts, chain);
  if (url.empty()) {
    return {{id, Status::warn, "no node is known for this chain",
             "name one with --rpc-url or PAYCURL_RPC_URL"},
            std::nullopt};
  }
  const auto fail = [&](const std::string& why, const std::string& hint) {
    return ChainReport{{id, Status::fail, shown(url) + ": " + why, hint, Kind::backend},
                       std::nullopt};
  };
  evm::Rpc rpc(*parts.network.client, url);
  const auto start = steady_clock::now();
  const auto answers = rpc.ask(
      {{"eth_chainId", Json::array()}, {"eth_getBlockByNumber", Json::Array{"latest", false}}},
      kDoctorPatience);
  const auto took =
      std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - start).count();
  const char* other = "name another node with --rpc-url or PAYCURL_RPC_URL";
  if (!answers) return fail(answers.error().message, other);
  const auto& [chain_id, block] = std::tie((*answers)[0], (*answers)[1]);
  const auto number =
      chain_id ? evm::read_quantity64(*chain_id) : Result<std::uint64_t>(chain_id.error());
  if (!number) return fail(number.error().message, other);
  if (*number != chain) {
    ChainReport wrong =
        fail("it is on chain " + std::to_string(*number) + ", not on " + std::to_string(chain),
             "name the chain with --network, or another node with --rpc-url");
    if (network_of(parts).empty()) wrong.check.status = Status::warn;  // one node for two chains
    return wrong;
  }
  ChainReport report{{id, Status::ok, shown(url) + " answers in " + std::to_string(took) + " ms"},
                     std::nullopt};
  const Json* time = block ? block->find("timestamp") : nullptr;
  const auto seconds = time == nullptr ? Result<std::uint64_t>(Error{Kind::backend, ""})
                                       : evm::read_quantity64(*time);
  constexpr std::uint64_t kLastSecond = 253'402'300'799;
  if (seconds && *seconds <= kLastSecond) {
    report.skew = system_now() - static_cast<Millis>(*seconds) * 1000;
  }
  return report;
}

Check clock_check(const std::optional<Millis>& skew) {
  if (!skew) return {"clock", Status::skip, "no node told the time"};
  const std::string distance = std::to_string((*skew < 0 ? -*skew : *skew) / 1000) + " s";
  const char* hint = "set this machine's clock: payments are valid for seconds";
  if (*skew < -kMostSkew) {
    return {"clock", Status::warn, "it is " + distance + " behind the newest block", hint};
  }
  if (*skew > kMostSkew) {
    return {"clock", Status::warn,
            "it is " + distance + " ahead of the newest block, or that chain stands still", hint};
  }
  return {"clock", Status::ok, "it agrees with the newest block"};
}

}  // namespace

std::vector<Check> check_chains(const DoctorParts& parts) {
  std::vector<Check> checks;
  std::optional<Millis> skew;
  for (const std::uint64_t chain : chains_of(parts)) {
    if (parts.options.offline) {
      checks.push_back({"rpc." + std::to_string(chain), Status::skip, "not asked"});
      continue;
    }
    ChainReport report = look_at(parts, chain);
    const auto distance = [](Millis millis) { return millis < 0 ? -millis : millis; };
    if (report.skew && (!skew || distance(*report.skew) < distance(*skew))) skew = report.skew;
    checks.push_back(std::move(report.check));
  }
  checks.push_back(parts.options.offline ? Check{"clock", Status::skip, "nobody was asked"}
                                         : clock_check(skew));
  return checks;
}

}  // namespace paycurl
