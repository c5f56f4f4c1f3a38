#include "src/protocols/registry.h"

#include <algorithm>

#include "src/base/json.h"
#include "src/base/text.h"

namespace paycurl {
namespace {

constexpr int kMaxDecimals = 36;

std::string text_at(const Json& json, std::string_view key) {
  const Json* found = json.find(key);
  const std::string* text = found == nullptr ? nullptr : found->string();
  return text == nullptr ? "" : *text;
}

std::vector<std::string> texts_at(const Json& json, std::string_view key) {
  std::vector<std::string> texts;
  const Json* found = json.find(key);
  if (found == nullptr || found->items() == nullptr) return texts;
  for (const Json& item : *found->items()) {
    if (item.string() != nullptr) texts.push_back(*item.string());
  }
  return texts;
}

/// An object's member, or an empty object.
const Json& object_at(const Json& json, std::string_view key) {
  static const Json empty = Json::object();
  const Json* found = json.find(key);
  return found != nullptr && found->members() != nullptr ? *found : empty;
}

std::optional<ListedPrice> read_price(const Json& endpoint) {
  const Json* payment = endpoint.find("payment");
  if (payment == nullptr || payment->members() == nullptr) return std::nullopt;
  ListedPrice price;
  price.method = text_at(*payment, "method");
  price.intent = text_at(*payment, "intent");
  price.currency = text_at(*payment, "currency");
  price.unit = text_at(*payment, "unitType");
  price.hint = text_at(*payment, "amountHint");
  price.description = text_at(*payment, "description");
  const Json* amount = payment->find("amount");
  const auto whole = amount == nullptr ? std::nullopt : amount->integer();
  price.amount = Amount::parse(whole ? std::to_string(*whole) : text_at(*payment, "amount"));
  const Json* decimals = payment->find("decimals");
  const auto places = decimals == nullptr ? std::nullopt : decimals->integer();
  if (places && *places >= 0 && *places <= kMaxDecimals) price.decimals = static_cast<int>(*places);
  const Json* dynamic = payment->find("dynamic");
  price.dynamic = dynamic != nullptr && dynamic->boolean() != nullptr && *dynamic->boolean();
  return price;
}

ListedService read_service(const Json& json) {
  ListedService service;
  service.id = text_at(json, "id");
  service.name = text_at(json, "name");
  service.url = text_at(json, "url");
  service.service_url = text_at(json, "serviceUrl");
  service.description = text_at(json, "description");
  service.status = text_at(json, "status");
  service.realm = text_at(json, "realm");
  service.provider = text_at(object_at(json, "provider"), "name");
  const Json& docs = object_at(json, "docs");
  service.homepage = text_at(docs, "homepage");
  service.api_reference = text_at(docs, "apiReference");
  service.llms = text_at(docs, "llmsTxt");
  service.categories = texts_at(json, "categories");
  service.tags = texts_at(json, "tags");
  for (const auto& [name, details] : *object_at(json, "methods").members()) {
    service.methods.push_back(name);
  }
  const Json* endpoints = json.find("endpoints");
  if (endpoints == nullptr || endpoints->items() == nullptr) return service;
  for (const Json& endpoint : *endpoints->items()) {
    if (endpoint.members() == nullptr) continue;
    service.endpoints.push_back({text_at(endpoint, "method"), text_at(endpoint, "path"),
                                 text_at(endpoint, "description"), read_price(endpoint)});
  }
  return service;
}

bool is_among(const std::vector<std::string>& words, const std::string& wanted) {
  return std::any_of(words.begin(), words.end(),
                     [&](const std::string& word) { return equals_ignoring_case(word, wanted); });
}

}  // namespace

std::string ListedPrice::units() const {
  return amount && decimals ? format_units(*amount, *decimals) : "";
}

std::size_t ListedService::paid_endpoints() const {
  return static_cast<std::size_t>(
      std::count_if(endpoints.begin(), endpoints.end(),
                    [](const ListedEndpoint& endpoint) { return endpoint.price.has_value(); }));
}

Result<std::vector<ListedService>> read_registry(std::string_view text) {
  const Error bad{Kind::protocol, "the answer is no directory of services"};
  const auto json = Json::parse(text, kMaxRegistry);
  if (!json) return Error{Kind::protocol, bad.message + ": " + json.error().message};
  const Json* list = json->find("services");
  if (list == nullptr || list->items() == nullptr) return bad;
  std::vector<ListedService> services;
  for (const Json& item : *list->items()) {
    ListedService service = read_service(item);
    if (!service.id.empty()) services.push_back(std::move(service));
  }
  return services;
}

bool RegistryFilter::matches(const ListedService& service) const {
  const std::string wanted = lower(text);
  const auto has = [&](const std::string& where) {
    return lower(where).find(wanted) != std::string::npos;
  };
  const bool found = wanted.empty() || has(service.id) || has(service.name) ||
                     has(service.description) ||
                     std::any_of(service.categories.begin(), service.categories.end(), has) ||
                     std::any_of(service.tags.begin(), service.tags.end(), has);
  return found && (category.empty() || is_among(service.categories, category)) &&
         (method.empty() || is_among(service.methods, method)) &&
         (status.empty() || equals_ignoring_case(service.status, status));
}

}  // namespace paycurl
