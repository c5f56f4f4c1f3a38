#include "wallet/settings.h"

#include <cstdlib>

namespace paycurl {
namespace {

std::optional<std::string> variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

std::string set_variable(const char* name) {
  return variable(name).value_or("");
}

/// XDG Base Directory: an absolute path in the variable, else a default below HOME.
std::string folder(const char* name, const char* below_home) {
  std::string given = set_variable(name);
  if (given.starts_with('/')) return given;
  const std::string home = set_variable("HOME");
  return home.starts_with('/') ? home + below_home : "";
}

Result<> refuse_empty(const std::optional<std::string>& value, const char* name, Kind kind) {
  if (!value || !value->empty()) return {};
  return Error{kind, std::string(name) + " is set but empty", "give it a value, or unset it"};
}

}  // namespace

Result<Settings> read_settings() {
  Settings settings;
  const std::string state = folder("XDG_STATE_HOME", "/.local/state");
  const std::string data = folder("XDG_DATA_HOME", "/.local/share");
  const std::string cache = folder("XDG_CACHE_HOME", "/.cache");
  const std::string config = folder("XDG_CONFIG_HOME", "/.config");
  settings.state_folder = state.empty() ? "" : state + "/paycurl";
  settings.mppx_state_folder = state.empty() ? "" : state + "/mppx";
  settings.data_folder = data.empty() ? "" : data + "/paycurl";
  settings.cache_folder = cache.empty() ? "" : cache + "/paycurl";
  settings.mppx_config_folder = config.empty() ? "" : config + "/mppx";

  const auto named = variable("PAYCURL_CONFIG");
  if (auto refused = refuse_empty(named, "PAYCURL_CONFIG", Kind::usage); !refused) {
    return refused.error();
  }
  settings.config_paths = config_paths(
      named.value_or(config.empty() ? "" : config + "/paycurl/config.toml"), named.has_value());

  settings.max_spend = variable("PAYCURL_MAX_SPEND");
  settings.max_deposit = variable("PAYCURL_MAX_DEPOSIT");
  settings.network = variable("PAYCURL_NETWORK");
  settings.method = variable("PAYCURL_METHOD");
  settings.account = variable("PAYCURL_ACCOUNT");
  settings.rpc_url = variable("PAYCURL_RPC_URL");
  settings.mppx_account = variable("MPPX_ACCOUNT");
  settings.services_url = variable("PAYCURL_SERVICES_URL");
  if (!settings.services_url) settings.services_url = variable("MPPX_SERVICES_URL");
  settings.has_private_key = variable("PAYCURL_PRIVATE_KEY").has_value();
  settings.has_mppx_private_key = variable("MPPX_PRIVATE_KEY").has_value();
  settings.has_wallet = variable("PAYCURL_WALLET").has_value();
  settings.credentials_folder = set_variable("CREDENTIALS_DIRECTORY");
  for (const auto& [value, name] : {std::pair{&settings.max_spend, "PAYCURL_MAX_SPEND"},
                                    std::pair{&settings.max_deposit, "PAYCURL_MAX_DEPOSIT"},
                                    std::pair{&settings.network, "PAYCURL_NETWORK"},
                                    std::pair{&settings.method, "PAYCURL_METHOD"},
                                    std::pair{&settings.rpc_url, "PAYCURL_RPC_URL"}}) {
    if (auto refused = refuse_empty(*value, name, Kind::usage); !refused) return refused.error();
  }
  for (const auto& [value, name] : {std::pair{&settings.account, "PAYCURL_ACCOUNT"},
                                    std::pair{&settings.mppx_account, "MPPX_ACCOUNT"}}) {
    if (auto refused = refuse_empty(*value, name, Kind::account); !refused) return refused.error();
  }

  settings.ca_file = set_variable("CURL_CA_BUNDLE");
  if (settings.ca_file.empty()) {
    settings.ca_path = set_variable("SSL_CERT_DIR");
    settings.ca_file = set_variable("SSL_CERT_FILE");
  }
  const std::string no_prompt = set_variable("PAYCURL_NO_PROMPT");
  settings.no_prompt = !no_prompt.empty() && no_prompt != "0";
  settings.no_color = !set_variable("NO_COLOR").empty();
  settings.has_display =
      !set_variable("DISPLAY").empty() || !set_variable("WAYLAND_DISPLAY").empty();
  ::unsetenv("SSLKEYLOGFILE");  // libcurl would write the session keys of paying connections there
  return settings;
}

std::vector<std::pair<std::string, std::string>> proxy_variables() {
  std::vector<std::pair<std::string, std::string>> found;
  for (const char* name : {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
                           "no_proxy", "NO_PROXY"}) {
    if (auto value = set_variable(name); !value.empty()) found.emplace_back(name, std::move(value));
  }
  return found;
}

void use_config(Settings& settings, Config config, bool with_defaults) {
  settings.config = std::move(config);
  if (!with_defaults) {
    for (RuleFile& file : settings.config.rules) {
      for (Rule& rule : file.hosts) {
        rule.account.clear();
        if (rule.allow_http.on == true) rule.allow_http = {};
      }
    }
    return;
  }
  for (const auto& [key, value] :
       {std::pair{"network", &settings.network}, std::pair{"method", &settings.method},
        std::pair{"rpc-url", &settings.rpc_url}, std::pair{"account", &settings.usual_account}}) {
    const ConfigEntry* entry = settings.config.option(key);
    if (entry == nullptr || entry->values.empty() || *value) continue;
    std::string all;
    for (const std::string& one : entry->values) {
      all += (all.empty() ? "" : ",") + one;
    }
    *value = std::move(all);
  }
}

std::optional<std::string> Settings::rpc_url_of(std::uint64_t chain) const {
  const auto own = variable(("PAYCURL_RPC_URL_" + std::to_string(chain)).c_str());
  return own && !own->empty() ? own : rpc_url;
}

Result<std::string> Settings::need_state_folder() const {
  if (!state_folder.empty()) return state_folder;
  return Error{Kind::usage, "there is no home folder to keep the journal in",
               "set HOME or XDG_STATE_HOME to an absolute path"};
}

}  // namespace paycurl
