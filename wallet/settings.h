// What the environment says: folders, defaults, the terminal's wishes. Read once, at start.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "src/base/result.h"
#include "wallet/config.h"

namespace paycurl {

struct Settings {
  // XDG folders with "/paycurl" behind; empty when there is neither the variable nor HOME.
  std::string state_folder, data_folder, cache_folder;
  std::string mppx_state_folder;   ///< where the npm CLI keeps its sessions
  std::string mppx_config_folder;  ///< where the npm CLI keeps its default account's name

  std::optional<std::string> max_spend, max_deposit, network, method, account, rpc_url;
  std::optional<std::string> mppx_account;
  bool has_private_key = false, has_mppx_private_key = false, has_wallet = false;
  std::optional<std::string> services_url;  ///< PAYCURL_SERVICES_URL, MPPX_SERVICES_URL
  std::string credentials_folder;           ///< systemd's, empty when there is none

  ConfigPaths config_paths;  ///< PAYCURL_CONFIG, else in the XDG folder
  /// What the files say; empty until `use_config`.
  Config config;
  std::optional<std::string> usual_account;  ///< of the files, for when nothing else names one

  std::string ca_file, ca_path;  ///< CURL_CA_BUNDLE, SSL_CERT_DIR, SSL_CERT_FILE, as the curl tool
  bool no_prompt = false;
  bool no_color = false;
  bool has_display = false;

  /// PAYCURL_RPC_URL_<chain>, else PAYCURL_RPC_URL.
  std::optional<std::string> rpc_url_of(std::uint64_t chain) const;

  /// The folder of the journal; usage error with a hint when there is no home at all.
  Result<std::string> need_state_folder() const;
};

/// The proxies that the environment names, as variable and value, which may hold a password. Read
/// by libcurl itself.
std::vector<std::pair<std::string, std::string>> proxy_variables();
/// Puts what the files say behind the variables: of network, method and rpc-url what they leave
/// open, of the account `usual_account`. `with_defaults` is false with -q.
void use_config(Settings& settings, Config config, bool with_defaults);

/// Usage error when a limit is set but empty: a missing CI secret must not mean "no limit". For the
/// same reason an empty name of an account or a key is Kind::account.
Result<Settings> read_settings();

}  // namespace paycurl
