// paycurl discover: fetches a service's discovery document, or reads it from a file, and says what
// is wrong with it and what it offers.
#include <sys/stat.h>

#include "commands/json.h"
#include "commands/network.h"
#include "commands/options.h"
#include "commands/output.h"
#include "commands/request_options.h"
#include "src/base/text.h"
#include "src/discovery/openapi.h"

namespace paycurl {
namespace {

class DiscoverCommand : public Command {
 public:
  void declare(OptionSet& set) override {
    set.in("Discovery")
        .positional("url", place_, "the service, its document, or a file; - is standard input");
    set.in("Common")
        .list("-H,--header", options_.headers, "LINE", "send a header field: 'Name: value'")
        .flag("-L,--location", options_.location, "follow redirects of the same origin")
        .value("-m,--max-time", options_.max_time, "SECONDS", "limit the whole exchange (30)");
    set.in("Connection")
        .flag("-k,--insecure", options_.insecure, "do not verify TLS certificates")
        .value("--cacert", options_.cacert, "FILE", "trust the certificates in this file")
        .value("-x,--proxy", options_.proxy, "URL", "use this proxy");
  }

  Result<int> run(const Globals& globals) override;

 private:
  Result<std::string> read_file() const;
  Result<std::string> fetch(const Globals& globals);
  Json json_of(const discovery::Document& document) const;
  static std::string text_of(const discovery::Document& document);

  std::string place_;
  RequestOptions options_;
};

/// A file by that name; "-" is standard input.
bool is_file(const std::string& place) {
  struct stat found {};
  return place == "-" || (place.find("://") == std::string::npos &&
                          ::stat(place.c_str(), &found) == 0 && S_ISREG(found.st_mode));
}

Result<std::string> DiscoverCommand::read_file() const {
  http::Body body;
  if (auto read = body.append_file(place_); !read) return read.error();
  auto text = body.text(discovery::kMaxDocument);
  if (!text) return text.error();
  if (!*text) return Error{Kind::protocol, "the document is longer than 10 MB"};
  return std::move(**text);
}

Result<std::string> DiscoverCommand::fetch(const Globals& globals) {
  auto network = make_network(globals, options_);
  if (!network) return network.error();
  auto prepared = prepare_request(options_, place_, {});
  if (!prepared) return prepared.error();
  http::Request& request = prepared->request;
  if (request.url.path == "/") {
    auto document = http::resolve(request.url, "/openapi.json");
    if (!document) return document.error();
    request.url = std::move(*document);
  }
  const std::string origin = request.url.origin();
  for (int hops = 0; hops < 10; ++hops) {
    auto answer = http::fetch(*network->client, request, discovery::kMaxDocument);
    if (!answer) return answer.error();
    const int status = answer->head.status;
    if (answer->head.is_redirect() && options_.location) {
      auto next = http::resolve(request.url, *answer->head.headers.find("location"));
      if (!next) return next.error();
      if (next->origin() != origin) {
        return Error{Kind::protocol, "it redirects to " + printable(next->origin())};
      }
      request.url = std::move(*next);
      continue;
    }
    if (status == 200) return std::move(answer->body);
    return Error{
        Kind::http_status,
        "the server answered " + std::to_string(status) + " to " + request.url.text,
        status == 404 ? "there is no discovery document; paycurl validate does without" : ""};
  }
  return http::transport_error(47, "more than 10 redirects");
}

std::size_t count_errors(const discovery::Document& document) {
  std::size_t count = 0;
  for (const discovery::Issue& issue : document.issues) {
    if (issue.is_error()) ++count;
  }
  return count;
}

Json DiscoverCommand::json_of(const discovery::Document& document) const {
  Json issues = Json::array();
  for (const discovery::Issue& issue : document.issues) {
    issues.push(Json::object({{"path", issue.path},
                              {"severity", issue.is_error() ? "error" : "warning"},
                              {"message", issue.message}}));
  }
  Json operations = Json::array();
  for (const discovery::Operation& operation : document.operations) {
    Json offers = Json::array();
    for (const discovery::Offer& offer : operation.offers) {
      offers.push(Json::object({{"method", offer.method},
                                {"intent", offer.intent},
                                {"amount", Json::or_null(offer.amount)},
                                {"currency", Json::or_null(offer.currency)}}));
    }
    operations.push(Json::object(
        {{"method", operation.method}, {"path", operation.path}, {"offers", std::move(offers)}}));
  }
  const std::size_t errors = count_errors(document);
  const std::size_t warnings = document.issues.size() - errors;
  return envelope()
      .set("url", place_)
      .set("title", Json::or_null(std::string_view(document.title)))
      .set("version", Json::or_null(std::string_view(document.version)))
      .set("valid", errors == 0)
      .set("errorCount", static_cast<std::int64_t>(errors))
      .set("warningCount", static_cast<std::int64_t>(warnings))
      .set("issues", std::move(issues))
      .set("operations", std::move(operations))
      .set("error", errors == 0 ? Json()
                                : error_json({Kind::protocol, "the document has errors",
                                              "the issues say which", "findings"}));
}

std::string DiscoverCommand::text_of(const discovery::Document& document) {
  std::string out = printable(document.title) + " " + printable(document.version) + "\n";
  for (const discovery::Operation& operation : document.operations) {
    out += operation.method + " " + printable(operation.path);
    for (const discovery::Offer& offer : operation.offers) {
      out += "\n    " + printable(offer.method + "/" + offer.intent, 80) + "  " +
             printable(offer.amount.value_or("varies"), 80) + " base units" +
             (offer.currency ? " of " + printable(*offer.currency, 80) : "");
    }
    out += "\n";
  }
  for (const discovery::Issue& issue : document.issues) {
    out += (issue.is_error() ? "error: " : "warning: ") + printable(issue.path) + ": " +
           printable(issue.message) + "\n";
  }
  const std::size_t errors = count_errors(document);
  out += std::to_string(document.operations.size()) + " paid operations, " +
         std::to_string(errors) + " errors, " + std::to_string(document.issues.size() - errors) +
         " warnings\n";
  return out;
}

Result<int> DiscoverCommand::run(const Globals& globals) {
  if (place_.empty()) return Error{Kind::usage, "no URL", "paycurl discover URL"};
  options_.urls = {place_};
  if (!options_.max_time) options_.max_time = 30;
  if (auto fine = check_request_options(options_, globals); !fine) return fine.error();
  const auto text = is_file(place_) ? read_file() : fetch(globals);
  if (!text) return text.error();
  const auto document = discovery::parse_document(*text);
  if (!document) {
    Error error = document.error();
    error.message.insert(0, "not a discovery document: ");
    return error;
  }
  auto printed = globals.json ? print_json(json_of(*document)) : print(text_of(*document));
  if (!printed) return printed.error();
  return count_errors(*document) == 0 ? 0 : static_cast<int>(Kind::protocol);
}

}  // namespace

std::unique_ptr<Command> make_discover() {
  return std::make_unique<DiscoverCommand>();
}

}  // namespace paycurl
