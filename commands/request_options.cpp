#include "commands/request_options.h"

#include <algorithm>
#include <cmath>

#include "commands/options.h"
#include "commands/output.h"
#include "commands/request_lines.h"
#include "src/base/text.h"

namespace paycurl {
namespace {

constexpr const char* kCommon = "Common";
constexpr const char* kHttp = "HTTP";
constexpr const char* kOutput = "Output";
constexpr const char* kConnection = "Connection";
constexpr const char* kPayment = "Payment";
constexpr const char* kOffer = "Choosing an offer";
constexpr const char* kSessions = "Sessions";
constexpr const char* kBatch = "Many requests";
constexpr const char* kPayer = "Who pays";

const std::vector<std::pair<const char*, BodyPart::Kind>>& body_options() {
  static const std::vector<std::pair<const char*, BodyPart::Kind>> options{
      {"--data", BodyPart::Kind::data},
      {"--data-ascii", BodyPart::Kind::data},
      {"--data-raw", BodyPart::Kind::raw},
      {"--data-binary", BodyPart::Kind::binary},
      {"--data-urlencode", BodyPart::Kind::url_encoded},
      {"--json", BodyPart::Kind::json},
      {"--form", BodyPart::Kind::form},
      {"--form-string", BodyPart::Kind::form_string},
  };
  return options;
}

void declare_asked(OptionSet& set, RequestOptions& o) {
  set.in(kCommon)
      .value("-X,--request", o.method, "METHOD", "use this request method")
      .list("-H,--header", o.headers, "LINE", "send a header field: 'Name: value'")
      .ordered("-d,--data", "DATA", "send a body (POST); @FILE reads a file, @- stdin")
      .ordered("--json", "DATA", "send JSON, with its Content-Type and Accept");
  set.in(kHttp)
      .ordered("--data-ascii", "DATA", "the same as --data")
      .ordered("--data-raw", "DATA", "like --data, but @ means nothing")
      .ordered("--data-binary", "DATA", "like --data, but files keep their line ends")
      .ordered("--data-urlencode", "DATA", "like --data, URL-encoded: NAME=content, NAME@FILE")
      .ordered("-F,--form", "NAME=CONTENT", "send a multipart form; @FILE uploads, <FILE reads")
      .ordered("--form-string", "NAME=STRING", "the same without a meaning of @ and <")
      .ordered("--url-query", "DATA",
               "add to the URL's query, as --data-urlencode does; +DATA as it is")
      .list("-T,--upload-file", o.uploads, "FILE",
            "send this file (PUT); one for each URL, - is stdin")
      .list("-b,--cookie", o.cookies, "DATA|FILE", "send cookies: NAME=VALUE, or those of a file")
      .value("-c,--cookie-jar", o.cookie_jar, "FILE", "write the cookies there in the end")
      .value("-r,--range", o.range, "RANGE", "ask for these bytes: 0-99, 100-, -100")
      .value("-C,--continue-at", o.continue_at, "OFFSET",
             "go on with a file; - looks how far it is")
      .value("-z,--time-cond", o.time_condition, "TIME",
             "only when changed since a date, or a file's")
      .value("--etag-compare", o.etag_compare, "FILE",
             "only when the ETag is another than this file's")
      .list("-K,--config", o.configs, "FILE", "read options from a file, curl's ~/.curlrc for one")
      .flag("-G,--get", o.get, "put the data into the URL and use GET")
      .flag("-I,--head", o.head, "ask for the head only")
      .value("-A,--user-agent", o.user_agent, "NAME", "send this User-Agent")
      .value("-e,--referer", o.referer, "URL", "send this Referer; ';auto' when redirected")
      .value("-u,--user", o.user, "USER:PASSWORD", "send HTTP Basic authentication")
      .flag("--basic", o.basic, "HTTP Basic authentication (the default)")
      .value("--oauth2-bearer,--bearer", o.bearer, "TOKEN", "send a bearer token")
      .value("--proto-default", o.proto_default, "SCHEME", "the scheme of URLs without one")
      .flag("-g,--globoff", o.globoff, "allow [ ] { } in URLs");
  set.app()
      .add_option("--url,url", o.urls, "the URL to ask")
      ->expected(0, 1 << 29)
      ->type_name("URL")
      ->group(kHttp);
}

void declare_sending(OptionSet& set, RequestOptions& o) {
  const auto version = [&o](const char* value) { return [&o, value] { o.http_version = value; }; };
  set.in(kCommon)
      .flag("-L,--location", o.location, "follow redirects")
      .value("-m,--max-time", o.max_time, "SECONDS", "limit the whole exchange; 0 is no limit");
  set.in(kHttp)
      .value("--max-redirs", o.max_redirs, "N", "at most that many; -1 is any number (50)")
      .flag("--compressed", o.compressed, "ask for a compressed answer and decode it");
  set.in(kConnection)
      .flag("-k,--insecure", o.insecure, "do not verify TLS certificates; nothing is paid then")
      .value("--cacert", o.cacert, "FILE", "trust the certificates in this file")
      .value("--capath", o.capath, "FOLDER", "trust the certificates in this folder")
      .value("-x,--proxy", o.proxy, "URL", "use this proxy")
      .action("-0,--http1.0", version("1.0"), "use HTTP 1.0")
      .action("--http1.1", version("1.1"), "use HTTP 1.1")
      .action("--http2", version("2"), "use HTTP 2")
      .value("--connect-timeout", o.connect_timeout, "SECONDS", "limit connecting (10)")
      .value("-y,--speed-time", o.speed_time, "SECONDS",
             "give up when slower than -Y for that long")
      .value("-Y,--speed-limit", o.speed_limit, "BYTES",
             "the speed that -y speaks of, per second (1)");
}

void declare_output(OptionSet& set, RequestOptions& o) {
  set.in(kCommon)
      .list("-o,--output", o.outputs, "FILE", "write the body to a file")
      .flag("-i,--include", o.include, "print the answer's head before the body")
      .flag("-f,--fail", o.fail, "exit 22 on a status of 400 and above, without the body");
  set.in(kOutput)
      .counter("-O,--remote-name", o.remote_names,
               "write the body to a file named like the URL's end")
      .flag("--remote-name-all", o.remote_name_all, "-O for every URL without -o")
      .flag("-J,--remote-header-name", o.remote_header_name,
            "with -O, take the name that the server gives")
      .flag("-R,--remote-time", o.remote_time,
            "give the file the time of the answer's Last-Modified")
      .value("--output-dir", o.output_dir, "FOLDER", "where -o and -O write")
      .flag("--create-dirs", o.create_dirs, "make the folders of -o, -O and -D")
      .flag("--clobber", o.clobber, "overwrite files (default); --no-clobber takes another name")
      .flag("--remove-on-error", o.remove_on_error, "leave no file behind that is not whole")
      .value("--etag-save", o.etag_save, "FILE", "write the answer's ETag to a file")
      .value("--stderr", o.stderr_file, "FILE", "write there instead of standard error")
      .value("--trace", o.trace, "FILE", "write all bytes there, without credentials")
      .value("--trace-ascii", o.trace_ascii, "FILE", "the same without the hexadecimal part")
      .flag("--trace-time", o.trace_time, "with the time on each line of -v and --trace")
      .value("-D,--dump-header", o.dump_header, "FILE", "write the answer's head to a file")
      .flag("--fail-with-body", o.fail_with_body, "the same as --fail, with the body")
      .flag("-S,--show-error", o.show_error, "with -s, still say what went wrong")
      .value("-w,--write-out", o.write_out, "FORMAT",
             "print this afterwards; %{name} is a variable")
      .flag("-N,--no-buffer", o.no_buffer, "has no effect: output is never buffered")
      .flag("-#,--progress-bar", o.progress_bar, "show the progress as a bar")
      .flag("--progress-meter", o.progress_meter, "show the progress on a terminal (default)")
      .flag("--spool", o.spool, "keep what was paid for, for `payments show --body` (default)")
      .flag("--sse", o.sse, "leave the payment's own events in a stream")
      .flag("--sse-json", o.sse_json, "print a stream as a line of JSON for each event")
      .flag("--text", o.text, "print only the tokens of a stream");
}

void declare_payment(OptionSet& set, RequestOptions& o) {
  set.in(kPayment)
      .flag("--inspect", o.inspect, "show the offers and what could be paid; pays nothing")
      .flag("--dry-run", o.dry_run, "do everything up to the signature")
      .flag("--pay", o.pay, "pay when asked to (default); --no-pay is plain curl")
      .list("--max-spend", o.max_spend, "LIMIT",
            "at most that much in this run: 0.05, 5:TOKEN (1.00)")
      .list("--max-deposit", o.max_deposit, "LIMIT", "at most that much in the escrow of a channel")
      .value("--max-fee", o.max_fee, "LIMIT", "at most that much network fee for a payment (0.02)")
      .value("--max-increase", o.max_increase, "PERCENT",
             "ask, or decline, when the price rose by more since the last payment there")
      .flag("--confirm", o.confirm, "ask on the terminal before paying")
      .flag("--yes", o.yes, "do not ask")
      .value("--expect-amount", o.expect_amount, "X", "pay only this price: 0.01 or '<=0.01'")
      .value("--expect-recipient", o.expect_recipient, "ADDRESS", "pay only to this address")
      .value("--expect-currency", o.expect_currency, "TOKEN", "pay only in this token")
      .value("--expect-status", o.expect_status, "N", "fail when the final status is another")
      .flag("--expect-receipt", o.expect_receipt, "fail when no receipt came")
      .list("--token", o.tokens, "ADDRESS:DECIMALS[:SYMBOL]", "a token that paycurl does not know")
      .flag("--allow-http", o.allow_http, "pay over plain http, or TLS that -k left unverified");
}

void declare_offer(OptionSet& set, RequestOptions& o) {
  set.in(kOffer)
      .value("--method", o.methods, "NAME[,NAME]", "pay only with these methods: tempo")
      .value("--intent", o.intent, "NAME", "take only offers of this kind: charge or session")
      .value("--currency", o.currency, "TOKEN", "take only offers in this token")
      .value("--network", o.network, "NAME", "mainnet, testnet or a chain id")
      .value("--challenge", o.challenge, "N", "take the Nth offer of the answer")
      .value("--protocol", o.protocol, "NAME", "the wire protocol: auto, mpp or l402")
      .flag("--push", o.push, "broadcast the payment ourselves")
      .flag("--pull", o.pull, "let the server broadcast it")
      .list("--swap-from", o.swap_from, "TOKEN",
            "swap this token when there is too little of the offer's")
      .value("--slippage", o.slippage, "PCT", "a swap may cost that much more than quoted (1)")
      .list("-M,--method-option", o.method_options, "KEY=VALUE", "for the method: fee-token=0x...")
      .value("--rpc-url", o.rpc_url, "URL", "the chain's node to ask")
      .flag("--offline", o.offline, "never ask a chain's node");
}

void declare_batch(OptionSet& set, RequestOptions& o) {
  set.in(kBatch)
      .value("--input", o.input, "FILE", "make the requests of this file, one a line; - is stdin")
      .flag("-Z,--parallel", o.parallel, "make several requests at the same time")
      .value("--parallel-max", o.parallel_max, "N", "at most that many at a time (50)")
      .flag("--parallel-immediate", o.parallel_immediate, "has no effect: nothing waits for others")
      .flag("--fail-early", o.fail_early, "begin no other request after one that failed")
      .value("--once", o.once, "KEY", "pay at most once for this key, ever");
}

void declare_sessions(OptionSet& set, RequestOptions& o) {
  set.in(kSessions)
      .value("--session", o.session, "WHICH", "auto, new, or the ID of an open one")
      .action(
          "--no-session", [&o] { o.use_sessions = false; }, "take only offers of single charges")
      .value("--deposit", o.deposit, "AMOUNT", "put that much into a new channel")
      .flag("--close", o.close, "close the channels of this run at its end")
      .value("--lock-timeout", o.lock_timeout, "SECONDS",
             "wait that long for a channel that another process is at (30)");
}

void declare_payer(OptionSet& set, RequestOptions& o) {
  set.in(kCommon).value("-a,--account", o.account, "NAME", "pay from this account");
  set.in(kPayer)
      .value("--key-fd", o.key_fd, "N", "read the private key from this descriptor")
      .value("--key-file", o.key_file, "FILE", "use this encrypted key file")
      .value("--password-fd", o.password_fd, "N",
             "read the key file's password from this descriptor")
      .value("--password-file", o.password_file, "FILE",
             "read the key file's password from this file")
      .value("--wallet-fd", o.wallet_fd, "N",
             "read a Lightning wallet's connection from this descriptor");
}

http::Duration duration_of(double seconds) {
  return http::Duration(static_cast<http::Duration::rep>(std::llround(seconds * 1000)));
}

std::vector<std::string> split(const std::string& list, char separator) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= list.size();) {
    const std::size_t end = std::min(list.find(separator, at), list.size());
    if (end > at) parts.push_back(list.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

constexpr std::size_t kMostOffers = 1000;

Error contradiction(const char* text) {
  return {Kind::usage, text};
}

/// What curl's options of the request and its output exclude among themselves.
Result<> check_transfer_options(const RequestOptions& o) {
  if (o.letter_j && !o.cookies.empty()) {
    return Error{Kind::usage,
                 "-j with -b: -j is --format json here, not curl's --junk-session-cookies",
                 "write --format json if that is meant"};
  }
  const bool has_body = !o.body.empty() && !o.get;
  if (int{has_body} + int{!o.uploads.empty()} + int{o.head} > 1) {
    return contradiction("-d, -F, --json, -T and -I are different requests: take one");
  }
  if (o.remote_header_name && (o.include || o.head)) return contradiction("-J excludes -i and -I");
  if (o.remote_header_name && !o.continue_at.empty()) return contradiction("-J excludes -C");
  if (!o.continue_at.empty() && !o.range.empty()) return contradiction("-C and -r are two ranges");
  if (!o.continue_at.empty() && (has_body || !o.uploads.empty())) {
    return contradiction("-C goes on with a download: it takes no body");
  }
  if (!o.continue_at.empty() && (o.remove_on_error || !o.clobber)) {
    return contradiction("-C excludes --remove-on-error and --no-clobber");
  }
  if (!o.continue_at.empty() && o.continue_at != "-" &&
      (o.continue_at.size() > 18 ||
       o.continue_at.find_first_not_of("0123456789") != std::string::npos)) {
    return Error{Kind::usage, "-C: not an offset: " + printable(o.continue_at, 40),
                 "write a number of bytes, or - for the size of the file"};
  }
  if (o.urls.size() > 1 && !(o.etag_save.empty() && o.etag_compare.empty())) {
    return contradiction("--etag-save and --etag-compare are for one URL");
  }
  const bool has_trace = !o.trace.empty() || !o.trace_ascii.empty();
  if (o.parallel && (has_trace || !o.cookie_jar.empty())) {
    return contradiction("-Z excludes -c and --trace: its requests would share one file");
  }
  if (!o.input.empty() && !o.uploads.empty()) return contradiction("--input excludes -T");
  if (!o.trace.empty() && !o.trace_ascii.empty()) {
    return contradiction("--trace and --trace-ascii exclude each other");
  }
  return {};
}

}  // namespace

void declare_request_options(OptionSet& set, RequestOptions& options) {
  declare_asked(set, options);
  declare_sending(set, options);
  declare_connection_options(set, options.connection);
  declare_output(set, options);
  declare_payment(set, options);
  declare_offer(set, options);
  declare_batch(set, options);
  declare_sessions(set, options);
  declare_payer(set, options);
}

void declare_offer_options(OptionSet& set, RequestOptions& options) {
  declare_offer(set, options);
}

void declare_payer_options(OptionSet& set, RequestOptions& options) {
  declare_payer(set, options);
}

void collect_body_parts(OptionSet& set, RequestOptions& options) {
  std::vector<std::size_t> taken(body_options().size());
  for (const CLI::Option* parsed : set.app().parse_order()) {
    for (std::size_t i = 0; i < body_options().size(); ++i) {
      const auto& [name, kind] = body_options()[i];
      if (!parsed->check_lname(std::string(name).substr(2))) continue;
      options.body.push_back({kind, parsed->results()[taken[i]++]});
    }
  }
  std::size_t outputs = 0, queries = 0;
  for (const CLI::Option* parsed : set.app().parse_order()) {
    if (parsed->check_lname("output")) {
      options.places.push_back({false, parsed->results()[outputs++]});
    }
    if (parsed->check_lname("remote-name")) options.places.push_back({true, ""});
    if (parsed->check_lname("url-query")) options.url_query.push_back(parsed->results()[queries++]);
  }
  options.letter_j = set.given("-j");
  options.has_user_agent = set.given("--user-agent");
  options.spool_streams = options.spool && set.given("--spool");
}

namespace {

Result<> check_batch_options(const RequestOptions& o) {
  if (o.urls.empty() && o.input.empty()) {
    return Error{Kind::usage, "no URL", "try paycurl --help"};
  }
  if (!o.input.empty() && !o.urls.empty()) {
    return Error{Kind::usage, "--input and a URL exclude each other", "put the URL into the file"};
  }
  if (!o.input.empty() && !o.outputs.empty()) {
    return Error{Kind::usage, "-o speaks of one URL",
                 "with --input, give each line its \"output\", or -O as often as there are lines"};
  }
  const bool reads_stdin = std::any_of(o.body.begin(), o.body.end(),
                                       [](const BodyPart& part) { return part.value == "@-"; });
  if (o.input == "-" && reads_stdin) return contradiction("-d @- and --input - both read stdin");
  if (o.once.empty()) return {};
  if (!o.input.empty() || o.urls.size() > 1) {
    return Error{Kind::usage, "--once speaks of one request",
                 "with --input, give each line its \"once\""};
  }
  return check_once_key(o.once);
}

Result<> check_payment_options(const RequestOptions& o) {
  if (o.protocol != "auto" && o.protocol != "mpp" && o.protocol != "l402") {
    return Error{Kind::usage, "not a protocol: " + printable(o.protocol, 40),
                 "auto, mpp and l402 are"};
  }
  if (o.push && o.pull) return contradiction("--push and --pull exclude each other");
  if (o.challenge && (*o.challenge == 0 || *o.challenge > kMostOffers)) {
    return contradiction("--challenge counts from 1");
  }
  if (!o.account.empty() && (o.key_fd || !o.key_file.empty())) {
    return contradiction("-a and a key of --key-fd or --key-file are two payers");
  }
  if (o.wallet_fd && (o.wallet_fd == o.key_fd || o.wallet_fd == o.password_fd)) {
    return contradiction("--wallet-fd needs a descriptor of its own");
  }
  if (!o.use_sessions && (o.session != "auto" || o.close || !o.deposit.empty())) {
    return contradiction("--no-session excludes --session, --close and --deposit");
  }
  if (!o.deposit.empty() && !parse_units(o.deposit, 36)) {
    return Error{Kind::usage, "--deposit: not an amount: " + printable(o.deposit, 60)};
  }
  if (!o.swap_from.empty() && o.offline) {
    return contradiction("--swap-from has to ask the chain, which --offline excludes");
  }
  if (auto slippage = slippage_of(o); !slippage) return slippage.error();
  return {};
}

}  // namespace

Result<> check_request_options(const RequestOptions& o, const Globals& globals) {
  if (auto fine = check_batch_options(o); !fine) return fine;
  if (auto fine = check_payment_options(o); !fine) return fine;
  if (o.inspect && o.dry_run) return contradiction("--inspect and --dry-run exclude each other");
  if (o.head && !o.body.empty() && !o.get) {
    return contradiction("--head sends no body; use -G or -X");
  }
  if (o.fail && o.fail_with_body) {
    return contradiction("--fail and --fail-with-body exclude each other");
  }
  if (int{o.sse} + int{o.sse_json} + int{o.text} > 1) {
    return contradiction("--sse, --sse-json and --text exclude each other");
  }
  if (o.lock_timeout.value_or(0) < 0) return contradiction("--lock-timeout is negative");
  if (o.max_time.value_or(0) < 0 || o.connect_timeout.value_or(0) < 0) {
    return contradiction("a time limit is negative");
  }
  if (o.basic && o.connection.digest) {
    return contradiction("--basic and --digest exclude each other");
  }
  if (auto fine = check_connection_options(o.connection, o.proxy); !fine) return fine;
  if (globals.json && o.include) return contradiction("-i and --format json exclude each other");
  const bool is_form = std::any_of(o.body.begin(), o.body.end(), [](const BodyPart& part) {
    return part.kind == BodyPart::Kind::form || part.kind == BodyPart::Kind::form_string;
  });
  const bool is_data = std::any_of(o.body.begin(), o.body.end(), [](const BodyPart& part) {
    return part.kind != BodyPart::Kind::form && part.kind != BodyPart::Kind::form_string;
  });
  if (is_form && (is_data || o.get)) return contradiction("-F excludes -d, --json and -G");
  return check_transfer_options(o);
}

namespace {

/// Limits of an option or a variable take the place of all others on the same unit.
Result<> give(std::vector<Limit>& limits, const std::vector<std::string>& given,
              const char* option) {
  for (const std::string& text : given) {
    auto limit = parse_limit(text);
    if (!limit) return std::move(limit).error().within(option);
    limit->source = Limit::Source::given;
    replace_limit(limits, std::move(*limit));
  }
  return {};
}

/// What the variable says, and the option, which has the last word on each unit.
std::vector<std::string> given_of(std::vector<std::string> option,
                                  const std::optional<std::string>& variable) {
  if (variable) option.insert(option.begin(), *variable);
  return option;
}

}  // namespace

Result<Limits> limits_of(const RequestOptions& options, const Settings& settings) {
  Limits limits = limits_of_files(settings.config.rules);
  auto given =
      give(limits.max_spend, given_of(options.max_spend, settings.max_spend), "--max-spend");
  if (!given) return given.error();
  given = give(limits.max_deposit, given_of(options.max_deposit, settings.max_deposit),
               "--max-deposit");
  if (!given) return given.error();
  if (!options.max_fee.empty()) {
    given = give(limits.max_fee, {options.max_fee}, "--max-fee");
    if (!given) return given.error();
  }
  if (!options.max_increase.empty()) {
    auto increase = parse_increase(options.max_increase);
    if (!increase) return std::move(increase).error().within("--max-increase");
    limits.max_increase = std::move(*increase);
    limits.max_increase.source = Limit::Source::given;
  }
  if (!options.expect_amount.empty()) {
    auto read = parse_expected_amount(options.expect_amount, limits.expected);
    if (!read) return std::move(read).error().within("--expect-amount");
  }
  const bool is_node = options.expect_recipient.size() == 66 && from_hex(options.expect_recipient);
  if (!options.expect_recipient.empty() && !is_node && !Address::parse(options.expect_recipient)) {
    return Error{Kind::usage,
                 "--expect-recipient: not an address: " + printable(options.expect_recipient, 80)};
  }
  if (!options.expect_recipient.empty()) limits.expected.recipient = options.expect_recipient;
  if (!options.expect_currency.empty()) limits.expected.currency = options.expect_currency;
  return limits;
}

Result<std::vector<Asset>> named_tokens_of(const RequestOptions& options) {
  std::vector<Asset> tokens;
  for (const std::string& text : options.tokens) {
    const Error bad{Kind::usage, "not a token: " + printable(text, 80),
                    "write ADDRESS:DECIMALS[:SYMBOL]"};
    const auto parts = split(text, ':');
    if (parts.size() < 2 || parts.size() > 3) return bad;
    const auto address = Address::parse(parts[0]);
    const auto decimals = Amount::parse(parts[1]);
    if (!address || !decimals || *decimals > Amount(36)) return bad;
    const std::string symbol = parts.size() == 3 ? parts[2] : shortened(address->checksummed());
    tokens.push_back({symbol, std::stoi(parts[1]), address->lower_hex(), "", false});
  }
  return tokens;
}

Result<std::uint32_t> slippage_of(const RequestOptions& options) {
  constexpr std::uint32_t kUsual = 100, kWhole = 10'000;
  if (options.slippage.empty()) return kUsual;
  const auto hundredths = parse_units(options.slippage, 2);
  if (hundredths && *hundredths <= Amount(kWhole)) {
    return static_cast<std::uint32_t>(std::stoul(hundredths->decimal()));
  }
  return Error{Kind::usage, "--slippage: not a percentage: " + printable(options.slippage, 60),
               "write 0.5, or any number from 0 to 100 with at most two places"};
}

Preference preference_of(const RequestOptions& options, const Settings& settings) {
  Preference preference;
  preference.methods =
      split(options.methods.empty() ? settings.method.value_or("") : options.methods, ',');
  preference.intent = options.intent;
  if (options.protocol != "auto") preference.protocol = options.protocol;
  preference.sessions = options.use_sessions;
  preference.currency = options.currency;
  preference.number = options.challenge;
  preference.allow_http = options.allow_http;
  return preference;
}

http::Deadlines unpaid_deadlines_of(const RequestOptions& options) {
  http::Deadlines limits;
  limits.head = std::chrono::seconds(120);
  if (options.connect_timeout) limits.connect = duration_of(*options.connect_timeout);
  if (options.max_time) {
    limits.total = duration_of(*options.max_time);
    limits.head = http::Duration(0);
  }
  if (options.speed_time || options.speed_limit) {
    limits.slow_seconds = options.speed_time.value_or(30);
    limits.slow_bytes_per_second = options.speed_limit.value_or(1);
    limits.idle = http::Duration(0);
  }
  return limits;
}

http::Deadlines paid_deadlines_of(const RequestOptions& options) {
  http::Deadlines limits = unpaid_deadlines_of(options);
  if (!options.max_time) limits.head = std::chrono::seconds(300);
  if (!options.max_time && !options.speed_time && !options.speed_limit) {
    limits.idle = std::chrono::seconds(300);
  }
  return limits;
}

SessionChoice session_choice_of(const RequestOptions& options) {
  SessionChoice choice;
  choice.asks_first = options.confirm && !options.yes;
  choice.fresh = options.session == "new";
  if (options.session != "auto" && options.session != "new") choice.id = options.session;
  choice.deposit = options.deposit;
  if (options.lock_timeout) choice.patience = duration_of(*options.lock_timeout);
  return choice;
}

PayerChoice payer_of(const RequestOptions& options) {
  PayerChoice choice;
  if (!options.account.empty()) choice.account = options.account;
  choice.key_fd = options.key_fd;
  if (!options.key_file.empty()) choice.key_file = options.key_file;
  choice.wallet_fd = options.wallet_fd;
  return choice;
}

PayerChoice payer_of(const RequestOptions& options, const Limits& limits, std::string_view origin) {
  PayerChoice choice = payer_of(options);
  const std::string usual = account_for(limits.files, origin);
  if (!usual.empty()) choice.usual = usual;
  return choice;
}

}  // namespace paycurl
