#include "src/payment/problem.h"

#include "src/base/text.h"

namespace paycurl {
namespace {

constexpr std::string_view kTypes = "https://paymentauth.org/problems/";

std::string string_or_empty(const Json& json, std::string_view key) {
  const Json* value = json.find(key);
  return value != nullptr && value->string() != nullptr ? *value->string() : "";
}

}  // namespace

std::optional<Problem> parse_problem(std::string_view body) {
  auto json = Json::parse(body);
  if (!json || json->members() == nullptr) return std::nullopt;
  Problem problem;
  problem.type = string_or_empty(*json, "type");
  if (problem.type.starts_with(kTypes)) problem.type.erase(0, kTypes.size());
  problem.title = string_or_empty(*json, "title");
  problem.detail = string_or_empty(*json, "detail");
  if (problem.type.empty() && problem.title.empty() && problem.detail.empty()) return std::nullopt;
  problem.json = std::move(*json);
  return problem;
}

std::string Problem::text() const {
  const std::string& head = title.empty() ? type : title;
  if (detail.empty()) return printable(head);
  return head.empty() ? printable(detail) : printable(head) + ": " + printable(detail);
}

}  // namespace paycurl
