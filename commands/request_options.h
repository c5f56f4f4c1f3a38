// The options of a request, as the command line gives them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "commands/command.h"
#include "commands/connection_options.h"
#include "src/http/message.h"
#include "src/payment/flow.h"
#include "wallet/accounts.h"

namespace paycurl {

/// One of the options that make a body, in the order of the command line.
struct BodyPart {
  enum class Kind { data, raw, binary, url_encoded, json, form, form_string };
  Kind kind;
  std::string value;
};

/// One -o or -O, in the order of the command line: each speaks of one URL.
struct OutputChoice {
  bool remote_name = false;
  std::string file;
};

struct RequestOptions {
  // What is asked
  std::vector<std::string> urls;
  std::string method;
  std::vector<std::string> headers;
  std::vector<BodyPart> body;
  bool get = false, head = false, basic = false;
  std::string user_agent, referer, user, bearer, proto_default;
  bool has_user_agent = false;
  bool globoff = false;
  std::vector<std::string> url_query, uploads, cookies;
  std::string cookie_jar, range, continue_at, time_condition, etag_save, etag_compare;

  // How it is sent
  bool location = false, insecure = false, compressed = false;
  int max_redirs = 50;
  std::string cacert, capath, proxy, http_version;
  std::optional<double> max_time, connect_timeout;
  std::optional<std::uint32_t> speed_time, speed_limit;

  ConnectionOptions connection;

  // Where the answer goes
  std::vector<std::string> outputs;
  int remote_names = 0;              ///< how many -O
  std::vector<OutputChoice> places;  ///< both
  std::string output_dir, stderr_file, trace, trace_ascii;
  bool remote_name_all = false, remote_header_name = false, remote_time = false,
       create_dirs = false, remove_on_error = false, clobber = true, trace_time = false;
  bool letter_j = false;
  std::vector<std::string> configs;  ///< -K: what they say stands in the arguments already
  bool include = false, fail = false, fail_with_body = false;
  std::string dump_header, write_out;
  bool no_buffer = false, progress_bar = false, progress_meter = true, show_error = false;
  bool spool = true, spool_streams = false;  ///< the second: --spool was given
  bool sse = false, sse_json = false, text = false;

  // Payment
  bool inspect = false, dry_run = false, pay = true, confirm = false, yes = false,
       allow_http = false;
  std::vector<std::string> max_spend;
  std::vector<std::string> max_deposit;
  std::string max_fee, max_increase, deposit;
  std::vector<std::string> tokens;
  std::string expect_amount, expect_recipient, expect_currency;
  std::optional<int> expect_status;
  bool expect_receipt = false;
  std::string methods, intent, currency, network, protocol = "auto";
  std::optional<std::size_t> challenge;
  std::string rpc_url;
  bool offline = false, push = false, pull = false;
  std::vector<std::string> swap_from;
  std::string slippage;
  std::vector<std::string> method_options;

  // Many requests
  std::string input, once;
  bool parallel = false, parallel_immediate = false, fail_early = false;
  int parallel_max = 50;

  // Sessions
  std::string session = "auto";
  bool use_sessions = true, close = false;
  std::optional<double> lock_timeout;

  // Who pays
  std::string account, key_file, password_file;
  std::optional<int> key_fd, password_fd, wallet_fd;
};

/// Declares them all; `options` must outlive the parsing.
void declare_request_options(OptionSet& set, RequestOptions& options);

/// Those of them that other commands have too: which offer is taken, and who pays.
void declare_offer_options(OptionSet& set, RequestOptions& options);
void declare_payer_options(OptionSet& set, RequestOptions& options);

/// The body options in the order in which they stood. Call after parsing.
void collect_body_parts(OptionSet& set, RequestOptions& options);

/// What was said that contradicts itself or has no meaning: a usage error.
Result<> check_request_options(const RequestOptions& options, const Globals& globals);

/// The parts of the options that other layers understand.
Result<Limits> limits_of(const RequestOptions& options, const Settings& settings);
Result<std::vector<Asset>> named_tokens_of(const RequestOptions& options);
/// --slippage in hundredths of a percent.
Result<std::uint32_t> slippage_of(const RequestOptions& options);
Preference preference_of(const RequestOptions& options, const Settings& settings);
http::Deadlines unpaid_deadlines_of(const RequestOptions& options);
http::Deadlines paid_deadlines_of(const RequestOptions& options);
SessionChoice session_choice_of(const RequestOptions& options);
PayerChoice payer_of(const RequestOptions& options);
/// The same with the account that the config names for `origin` behind everything else.
PayerChoice payer_of(const RequestOptions& options, const Limits& limits, std::string_view origin);

/// Adds a field unless the user sent or removed one of that name.
void add_default(http::Request& request, const std::string& name, const std::string& value);

/// The body that the body options make, and the fields that go with it; a null body where there are
/// none. With -G, the query instead.
struct PreparedBody {
  std::shared_ptr<const http::Body> body;
  std::string content_type;
  std::string accept;
  std::string query;
  bool form = false;
  bool upload = false;      ///< -T: PUT
  std::string upload_name;  ///< what is appended to a URL that ends in "/"
};
Result<PreparedBody> prepare_body(const RequestOptions& options);
/// The file of the -T that belongs to the URL of that number; nothing when none does.
Result<std::optional<PreparedBody>> prepare_upload(const RequestOptions& options,
                                                   std::size_t index);

/// A URL as it was given, when it can be one to ask.
Result<http::Url> read_url(const RequestOptions& options, const std::string& text);

/// The request for one URL, with the user's fields and curl's defaults.
struct PreparedRequest {
  http::Request request;
  RedirectRules redirects;
  std::string file_name;  ///< for -O
};
Result<PreparedRequest> prepare_request(const RequestOptions& options, const std::string& text,
                                        const PreparedBody& body);

/// -z, read: a moment that the answer's Last-Modified is held against.
struct TimeCondition {
  enum class When { newer, older, none };
  When when = When::newer;
  std::int64_t seconds = 0;
};
/// A date, or the time of a file. Nothing when it is neither, which curl ignores as well.
std::optional<TimeCondition> time_condition_of(const RequestOptions& options);

/// Adds the fields of -z, or those of -H and --etag-compare and the like, in curl's order.
Result<> add_fields(const RequestOptions& options, const PreparedBody& body,
                    PreparedRequest& prepared);
/// Adds the Range of -r or -C, and says how much of the file `output` is there already (-C).
Result<std::uint64_t> add_range(const RequestOptions& options, const std::string& output,
                                http::Request& request);

}  // namespace paycurl
