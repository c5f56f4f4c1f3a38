#include "src/validation/service.h"

#include <algorithm>
#include <array>

#include "src/base/text.h"

namespace paycurl::validation {
namespace {

constexpr std::string_view kDocument = "/openapi.json";

struct Fetched {
  http::Answer answer;
  std::string base;
};

/// The URL without query and last slash, and without the document's own name.
std::string base_of(const http::Url& url) {
  std::string text = url.text.substr(0, url.text.find('?'));
  if (lower(text).ends_with(kDocument)) text.resize(text.size() - kDocument.size());
  while (text.ends_with('/')) {
    text.pop_back();
  }
  return text;
}

std::string media_type(const http::Head& head) {
  const std::string* type = head.headers.find("content-type");
  if (type == nullptr) return "";
  return lower(trimmed(std::string_view(*type).substr(0, type->find(';'))));
}

Result<http::Answer> get(Prober& prober, http::Request request, const std::string& url) {
  auto read = http::parse_url(url);
  if (!read) return read.error();
  request.url = std::move(*read);
  request.method = "GET";
  request.body = nullptr;
  return prober.ask(std::move(request), discovery::kMaxDocument + 1);
}

void check_llms(Prober& prober, const http::Request& request, Report& report) {
  report.about("GET /llms.txt");
  const auto answer = get(prober, request, request.url.origin() + "/llms.txt");
  if (!answer || answer->head.status != 200) {
    return report.skip("discovery.llms", "there is none; agents look for one");
  }
  const std::string type = media_type(answer->head);
  const std::string start = lower(trimmed(std::string_view(answer->body).substr(0, 200)));
  const bool is_html = type == "text/html" || start.starts_with("<!doctype html") ||
                       start.starts_with("<html") || start.starts_with("<head");
  const std::string found = start.empty()                                 ? "nothing in it"
                            : is_html                                     ? "HTML"
                            : !type.empty() && !type.starts_with("text/") ? type
                                                                          : "";
  report.check("discovery.llms", found.empty(), "text", found);
}

/// The first place that has a document.
Result<std::optional<Fetched>> find_document(Prober& prober, const http::Request& request,
                                             Report& report) {
  const std::string own = base_of(request.url);
  const std::string origin = request.url.origin();
  std::string failure;
  std::vector<std::string> places{own};
  for (const std::string& place : {origin, origin + "/api"}) {
    if (place != own) places.push_back(place);
  }
  for (const std::string& place : places) {
    auto answer = get(prober, request, place + std::string(kDocument));
    if (!answer) return answer.error();
    const int status = answer->head.status;
    if (status == 200) {
      report.pass("discovery.found", place + std::string(kDocument));
      return std::optional(Fetched{std::move(*answer), place});
    }
    if (status >= 500 && failure.empty()) failure = std::to_string(status);
  }
  if (failure.empty()) {
    report.skip("discovery.found", "there is no /openapi.json; a server may do without");
  } else {
    report.fault("discovery.found", "200 or 404", failure);
  }
  return std::optional<Fetched>();
}

}  // namespace

void check_document(const discovery::Document& document, Report& report) {
  using discovery::Rule;
  constexpr std::array<std::pair<Rule, std::string_view>, 5> kChecks{
      {{Rule::structure, "discovery.structure"},
       {Rule::service_info, "discovery.service-info"},
       {Rule::payment_info, "discovery.payment-info"},
       {Rule::response_402, "discovery.response-402"},
       {Rule::input_schema, "discovery.input-schema"}}};
  for (const auto& [rule, check] : kChecks) {
    bool holds = true;
    for (const discovery::Issue& issue : document.issues) {
      if (issue.rule != rule) continue;
      holds = false;
      report.fault(check, "as the draft says", issue.path + ": " + issue.message);
    }
    if (holds) report.pass(check);
  }
}

Result<std::optional<Published>> check_discovery(Prober& prober, const http::Request& request,
                                                 Report& report) {
  report.about("GET /openapi.json");
  auto fetched = find_document(prober, request, report);
  if (!fetched) return fetched.error();
  if (!*fetched) {
    check_llms(prober, request, report);
    return std::optional<Published>();
  }
  const http::Answer& answer = (*fetched)->answer;
  const std::string type = media_type(answer.head);
  report.check("discovery.content-type", type == "application/json" || type.ends_with("+json"),
               "application/json", type.empty() ? "none" : type);
  report.check("discovery.cache", answer.head.headers.find("cache-control") != nullptr,
               "a Cache-Control", "none");
  auto document = discovery::parse_document(answer.body);
  report.check("discovery.json", document.has_value(), "a JSON object",
               document ? "" : document.error().message);
  if (document) {
    check_document(*document, report);
    const std::size_t count = document->operations.size();
    if (count > 0) {
      report.pass("discovery.endpoints", std::to_string(count));
    } else if (document->issues.empty()) {
      report.fault("discovery.endpoints", "at least one", "none");
    }
  }
  check_llms(prober, request, report);
  if (!document) return std::optional<Published>();
  return std::optional(Published{std::move(*document), (*fetched)->base});
}

}  // namespace paycurl::validation
