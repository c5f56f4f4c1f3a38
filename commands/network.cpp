#include "commands/network.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include <sys/ioctl.h>
#include <unistd.h>

#include "commands/audience.h"
#include "commands/output.h"
#include "commands/signals.h"
#include "commands/trace.h"
#include "src/base/text.h"
#include "wallet/keystore.h"

namespace paycurl {
namespace {

/// "12.3k" as curl's meter writes sizes.
std::string short_size(double bytes) {
  constexpr std::string_view kUnits = " kMGT";
  std::size_t unit = 0;
  for (; bytes >= 10000 && unit + 1 < kUnits.size(); ++unit) {
    bytes /= 1024;
  }
  return std::to_string(std::llround(bytes)) + (unit == 0 ? "" : std::string(1, kUnits[unit]));
}

/// A line on the terminal that is drawn over, four times a second.
class Meter {
 public:
  Meter(bool bar) : bar_(bar) {}
  ~Meter() { draw(""); }
  Meter(const Meter&) = delete;
  Meter& operator=(const Meter&) = delete;

  void show(std::int64_t received, std::int64_t expected) {
    const auto now = std::chrono::steady_clock::now();
    if (now < next_) return;
    next_ = now + std::chrono::milliseconds(250);
    if (now - start_ < std::chrono::milliseconds(500)) return;  // too quick to be worth a line
    const double elapsed = std::chrono::duration<double>(now - start_).count();
    const std::size_t room = columns() - 1;
    std::string line = short_size(static_cast<double>(received)) + "B";
    std::size_t percent = 0;
    if (expected > 0) {
      percent =
          static_cast<std::size_t>(std::clamp<std::int64_t>(received * 100 / expected, 0, 100));
      line = std::to_string(percent) + "% of " + short_size(static_cast<double>(expected)) + "B";
    }
    line += "  " + short_size(static_cast<double>(received) / elapsed) + "B/s";
    if (bar_ && expected > 0 && line.size() + 10 < room) {
      const std::size_t whole = std::min<std::size_t>(room - line.size() - 1, 50);
      const std::size_t done = whole * percent / 100;
      line.insert(0, std::string(done, '#') + std::string(whole - done, ' ') + " ");
    }
    draw(line.substr(0, room));
  }

 private:
  /// Of the terminal; some do not know.
  static std::size_t columns() {
    winsize size{};
    const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
    return known ? size.ws_col : 80;
  }

  /// Draws over what stands there, with spaces: a meter needs no escape sequences.
  void draw(const std::string& line) {
    if (line.empty() && drawn_ == 0) return;
    const std::size_t rest = drawn_ > line.size() ? drawn_ - line.size() : 0;
    (void)write_all(STDERR_FILENO,
                    "\r" + line + std::string(rest, ' ') + (line.empty() ? "\r" : ""));
    drawn_ = line.size();
  }

  bool bar_;
  std::size_t drawn_ = 0;  // letters
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point next_ = start_;
};

bool wants_meter(const Globals& globals, const RequestOptions& options) {
  if (globals.silent || !options.progress_meter || !is_terminal(STDERR_FILENO)) return false;
  return !options.places.empty() || options.remote_name_all || !is_terminal(STDOUT_FILENO);
}

/// What all clients of this process have in common.
http::Settings basic_settings(const Globals& globals) {
  http::Settings settings;
  settings.user_agent = user_agent();
  settings.ca_file = globals.settings.ca_file;
  settings.ca_path = globals.settings.ca_path;
  settings.interrupt_fd = watch_signals();
  settings.interruption = &caught_signal;
  return settings;
}

/// -b and -c.
void set_cookies(http::Settings& settings, const RequestOptions& options) {
  for (const std::string& given : options.cookies) {
    if (given.find('=') == std::string::npos) settings.cookie_files.push_back(given);
  }
  settings.cookie_jar = options.cookie_jar;
  settings.cookies = !settings.cookie_files.empty() || !settings.cookie_jar.empty();
}

/// -v and --trace.
Result<> set_trace(http::Settings& settings, const Globals& globals,
                   const RequestOptions& options) {
  const bool on_stderr = globals.verbosity > 0;
  const bool hexadecimal = !options.trace.empty();
  const std::string& file = hexadecimal ? options.trace : options.trace_ascii;
  std::shared_ptr<Trace> trace;
  if (!file.empty()) {
    auto opened = Trace::open(file, hexadecimal, options.trace_time);
    if (!opened) return opened.error();
    trace = std::make_shared<Trace>(std::move(*opened));
  }
  settings.verbose = on_stderr || trace;
  settings.trace_bodies = trace != nullptr;
  settings.trace = [=, with_time = options.trace_time](char kind, std::string_view bytes) {
    if (trace) trace->write(kind, bytes);
    if (!on_stderr || kind == '{' || kind == '}') return;
    say((with_time ? trace_time() : "") + std::string(1, kind) + " " + redacted(kind, bytes));
  };
  return {};
}

Result<std::unique_ptr<http::Client>> make_client(const Globals& globals,
                                                  const RequestOptions& options) {
  http::Settings settings = basic_settings(globals);
  if (options.has_user_agent) settings.user_agent = options.user_agent;
  if (!options.cacert.empty()) settings.ca_file = options.cacert;
  if (!options.capath.empty()) settings.ca_path = options.capath;
  settings.insecure = options.insecure;
  settings.proxy = options.proxy;
  apply(options.connection, settings);
  settings.http_version = options.http_version;
  settings.compressed = options.compressed;
  set_cookies(settings, options);
  settings.keep_certificates = options.write_out.find("certs}") != std::string::npos;
  if (auto traced = set_trace(settings, globals, options); !traced) return traced.error();
  if (wants_meter(globals, options)) {
    settings.progress = [meter = std::make_shared<Meter>(options.progress_bar)](
                            std::int64_t received, std::int64_t expected) {
      meter->show(received, expected);
    };
  }
  return http::make_client(std::move(settings));
}

/// In the keychain, which is opened when one is kept or looked for.
class KeychainProofs : public ProofStore {
 public:
  explicit KeychainProofs(bool may_prompt) : may_prompt_(may_prompt) {}

  Result<> keep(const std::string& session, std::string_view proof) override {
    Secret secret;
    secret.assign(as_bytes(proof));
    return store().store(SecretPurpose::lightning_session, session, secret, true);
  }
  std::optional<std::string> find(const std::string& session) override {
    const auto found = store().load(SecretPurpose::lightning_session, session);
    return found ? std::optional(std::string(found->text())) : std::nullopt;
  }
  void forget(const std::string& session) override {
    if (store_) (void)store().remove(SecretPurpose::lightning_session, session);
  }

 private:
  SecretStore& store() {
    if (!store_) {
      store_ = make_secret_keychain(may_prompt_, [](std::string_view text) { say_note(text); });
    }
    return *store_;
  }

  bool may_prompt_;
  std::unique_ptr<SecretStore> store_;
};

/// The method options that the command line and the environment give.
Result<MethodOptions> method_options_of(const Globals& globals, const RequestOptions& options) {
  MethodOptions method;
  method.network = globals.settings.network;
  if (!options.network.empty()) method.network = options.network;
  method.rpc_url = [given = options.rpc_url, &settings = globals.settings](
                       std::uint64_t chain) -> std::optional<std::string> {
    return given.empty() ? settings.rpc_url_of(chain) : given;
  };
  method.offline = options.offline;
  method.wallet_client = client_for(globals);
  method.proofs = std::make_shared<KeychainProofs>(may_unlock(globals));
  const http::Duration limit = paid_deadlines_of(options).total;
  if (limit.count() > 0) method.patience = std::min(method.patience, limit);
  method.swap_from = options.swap_from;
  const auto slippage = slippage_of(options);
  if (!slippage) return slippage.error();
  method.slippage = *slippage;
  if (options.push) method.push = true;
  if (options.pull) method.push = false;
  for (const std::string& option : options.method_options) {
    const std::size_t equals = option.find('=');
    if (equals == std::string::npos) {
      return Error{Kind::usage, "not a method option: " + printable(option, 60),
                   "write -M key=value"};
    }
    method.own[option.substr(0, equals)] = option.substr(equals + 1);
  }
  auto tokens = named_tokens_of(options);
  if (!tokens) return tokens.error();
  method.tokens = std::move(*tokens);
  return method;
}

}  // namespace

lightning::ClientFor client_for(const Globals& globals) {
  return [settings = basic_settings(globals)](const std::string& ca_pem) {
    http::Settings own = settings;
    own.ca_pem = ca_pem;
    own.direct = true;
    return http::make_client(std::move(own));
  };
}

Result<Network> make_network(const Globals& globals, const RequestOptions& options) {
  Network network;
  auto client = make_client(globals, options);
  if (!client) return client.error();
  network.client = std::move(*client);
  const auto method_options = method_options_of(globals, options);
  if (!method_options) return method_options.error();
  auto methods = make_methods(*method_options, *network.client);
  if (!methods) return methods.error();
  network.methods = std::move(*methods);
  network.protocols = make_protocols();
  return network;
}

std::vector<Method*> Network::method_list() const {
  std::vector<Method*> list;
  for (const auto& method : methods) {
    list.push_back(method.get());
  }
  return list;
}

std::vector<const Protocol*> Network::protocol_list() const {
  std::vector<const Protocol*> list;
  for (const auto& protocol : protocols) {
    list.push_back(protocol.get());
  }
  return list;
}

}  // namespace paycurl
