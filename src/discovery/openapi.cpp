#include "src/discovery/openapi.h"

#include <algorithm>
#include <array>

#include "src/base/money.h"
#include "src/base/text.h"

namespace paycurl::discovery {
namespace {

constexpr std::size_t kMaxIssues = 200;
constexpr std::array<std::string_view, 8> kMethods{"get",     "put",  "post",  "delete",
                                                   "options", "head", "patch", "trace"};

bool is_uri_or_path(const std::string& text) {
  const bool clean = std::all_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) > ' ' && c != 0x7f;
  });
  const std::size_t scheme = text.find("://");
  return clean && (text.starts_with('/') || (scheme != std::string::npos && scheme != 0));
}

/// Percent-encodes what is not unreserved (RFC 3986 section 2.3).
std::string encoded(std::string_view text) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
  std::string out;
  for (const char c : text) {
    const bool plain = kPlain.find(c) != std::string_view::npos;
    out += plain ? std::string(1, c) : "%" + hex_digits(static_cast<std::uint8_t>(c), 2);
  }
  return out;
}

/// A request body that fits a schema: examples first, else the smallest value of each type.
class Examples {
 public:
  explicit Examples(const Json& root) : root_(root) {}

  /// The body of an operation; nothing when it has no JSON body or nothing is known of it.
  std::optional<std::string> body_of(const Json& operation) {
    const Json* media = operation.find("requestBody");
    if (media != nullptr) media = resolved(*media).find("content");
    if (media != nullptr) media = media->find("application/json");
    if (media == nullptr) return std::nullopt;
    if (const Json* example = media->find("example")) return text_of_example(*example);
    if (const Json* examples = media->find("examples")) {
      const auto* members = examples->members();
      const Json* value =
          members == nullptr || members->empty() ? nullptr : members->front().second.find("value");
      if (value != nullptr) return text_of_example(*value);
    }
    const Json* schema = media->find("schema");
    if (schema == nullptr) return std::nullopt;
    const Json body = value_of(*schema, 0);
    return body.is_null() ? std::nullopt : text_of_example(body);
  }

  /// What stands for a parameter in a path; nothing when the document has no example.
  std::optional<std::string> text_of(const Json& parameter) {
    const Json* value = parameter.find("example");
    const Json* schema = parameter.find("schema");
    if (schema != nullptr) schema = &resolved(*schema);
    for (const char* key : {"example", "default"}) {
      if (value == nullptr && schema != nullptr) value = schema->find(key);
    }
    if (value == nullptr || value->members() != nullptr || value->items() != nullptr) {
      return std::nullopt;
    }
    return value->string() != nullptr ? *value->string() : value->dump();
  }

  const Json& resolved(const Json& value) const {
    const Json* at = &value;
    for (int hops = 0; hops < kMaxDepth; ++hops) {
      const Json* ref = at->find("$ref");
      if (ref == nullptr || ref->string() == nullptr || !ref->string()->starts_with("#/")) break;
      const Json* target = &root_;
      const std::string& path = *ref->string();
      for (std::size_t from = 2; target != nullptr && from <= path.size();) {
        const std::size_t end = std::min(path.find('/', from), path.size());
        target = target->find(path.substr(from, end - from));
        from = end + 1;
      }
      if (target == nullptr) break;
      at = target;
    }
    return *at;
  }

 private:
  static constexpr int kMaxDepth = 16;
  // Of a whole document, in which references can make much out of little.
  static constexpr int kMaxValues = 20'000;
  static constexpr std::size_t kMaxText = 4UL << 20;

  /// Nothing once there was too much of it.
  std::optional<std::string> text_of_example(const Json& example) {
    if (text_ > kMaxText) return std::nullopt;
    std::string text = example.dump();
    text_ += text.size();
    return text_ > kMaxText ? std::nullopt : std::optional(std::move(text));
  }

  Json copy_of(const Json& example) { return text_of_example(example) ? example : Json(); }

  Json value_of(const Json& given, int depth) {
    if (depth == kMaxDepth || ++values_ > kMaxValues) return {};
    const Json& schema = resolved(given);
    for (const char* key : {"const", "example", "default"}) {
      if (const Json* value = schema.find(key)) return copy_of(*value);
    }
    for (const char* key : {"enum", "examples"}) {
      const Json* list = schema.find(key);
      if (list != nullptr && list->items() != nullptr && !list->items()->empty()) {
        return copy_of(list->items()->front());
      }
    }
    const auto type = schema.string_at("type");
    if (!type) return {};
    if (*type == "object") return object_of(schema, depth);
    if (*type == "array") return Json::array();
    if (*type == "boolean") return true;
    if (*type == "integer" || *type == "number") {
      const Json* least = schema.find("minimum");
      return least != nullptr ? copy_of(*least) : Json(1);
    }
    if (*type == "string") return text_of_format(schema.string_at("format"));
    return {};
  }

  static Json text_of_format(const Result<std::string>& format) {
    if (!format) return "test";
    if (*format == "email") return "test@example.com";
    if (*format == "uuid") return "00000000-0000-4000-8000-000000000000";
    if (*format == "uri" || *format == "url") return "https://example.com";
    if (*format == "date") return "2026-01-01";
    if (*format == "date-time") return "2026-01-01T00:00:00Z";
    return "test";
  }

  Json object_of(const Json& schema, int depth) {
    Json object = Json::object();
    const Json* properties = schema.find("properties");
    const Json* required = schema.find("required");
    if (properties == nullptr || required == nullptr || required->items() == nullptr) return object;
    for (const Json& name : *required->items()) {
      const Json* property = name.string() == nullptr ? nullptr : properties->find(*name.string());
      if (property != nullptr) object.set(*name.string(), value_of(*property, depth + 1));
    }
    return object;
  }

  const Json& root_;
  int values_ = 0;
  std::size_t text_ = 0;
};

class Reader {
 public:
  explicit Reader(const Json& root) : root_(root), examples_(root) {}

  Document read() {
    read_head();
    read_service_info();
    const Json* paths = root_.find("paths");
    if (paths == nullptr || paths->members() == nullptr || paths->members()->empty()) {
      complain(Rule::structure, "paths", "there are no paths");
      return std::move(document_);
    }
    for (const auto& [path, item] : *paths->members()) {
      read_path(path, item);
    }
    const bool has_prices = std::any_of(document_.operations.begin(), document_.operations.end(),
                                        [](const Operation& op) { return !op.offers.empty(); });
    if (has_prices) {
      std::erase_if(document_.operations, [](const Operation& op) { return op.offers.empty(); });
    }
    return std::move(document_);
  }

 private:
  void complain(Rule rule, std::string path, std::string message) {
    ++complaints_;
    if (document_.issues.size() == kMaxIssues) return;
    document_.issues.push_back({rule, std::move(path), std::move(message)});
  }

  void read_head() {
    const auto openapi = root_.string_at("openapi");
    if (!openapi || !openapi->starts_with("3.")) {
      complain(Rule::structure, "openapi", "it is not the version of OpenAPI 3.x");
    }
    const Json* info = root_.find("info");
    for (const auto& [key, into] :
         {std::pair{"title", &document_.title}, std::pair{"version", &document_.version}}) {
      auto value = info == nullptr ? root_.string_at("info") : info->string_at(key);
      if (value && info != nullptr) {
        *into = std::move(*value);
      } else {
        complain(Rule::structure, std::string("info.") + key, "it is missing, or no text");
      }
    }
  }

  void read_service_info() {
    const std::string at = "x-service-info";
    const Json* service = root_.find(at);
    if (service == nullptr) return;
    if (service->members() == nullptr) {
      return complain(Rule::service_info, at, "it is no object");
    }
    if (const Json* categories = service->find("categories")) {
      const auto* items = categories->items();
      if (items == nullptr || !std::all_of(items->begin(), items->end(), [](const Json& item) {
            return item.string() != nullptr;
          })) {
        complain(Rule::service_info, at + ".categories", "it is no list of texts");
      }
    }
    const Json* docs = service->find("docs");
    if (docs == nullptr) return;
    if (docs->members() == nullptr) {
      return complain(Rule::service_info, at + ".docs", "it is no object");
    }
    for (const char* key : {"apiReference", "homepage", "llms"}) {
      const Json* link = docs->find(key);
      if (link == nullptr) continue;
      if (link->string() == nullptr || !is_uri_or_path(*link->string())) {
        complain(Rule::service_info, at + ".docs." + key, "it is no URI");
      }
    }
  }

  void read_path(const std::string& path, const Json& item) {
    const std::string at = "paths." + path;
    if (!path.starts_with('/')) complain(Rule::structure, at, "a path starts with /");
    if (item.members() == nullptr) return complain(Rule::structure, at, "it is no object");
    for (const auto& [method, operation] : *item.members()) {
      if (std::find(kMethods.begin(), kMethods.end(), method) == kMethods.end()) continue;
      if (operation.members() == nullptr) {
        complain(Rule::structure, std::string(at).append(".").append(method), "it is no object");
      } else if (path.starts_with('/')) {
        read_operation(path, method, item, operation);
      }
    }
  }

  void read_operation(const std::string& path, const std::string& method, const Json& item,
                      const Json& operation) {
    const std::string at = "paths." + path + "." + method;
    const Json* info = operation.find("x-payment-info");
    const Json* responses = operation.find("responses");
    const bool has_402 = responses != nullptr && responses->find("402") != nullptr;
    if (info == nullptr && !has_402) return;
    Operation found;
    found.path = path;
    for (const char c : method) {
      found.method += static_cast<char>(c - 'a' + 'A');
    }
    if (info != nullptr) {
      found.offers = read_offers(*info, at + ".x-payment-info");
      if (!has_402) complain(Rule::response_402, at + ".responses", "there is no 402 response");
      const bool takes_body = method == "post" || method == "put" || method == "patch";
      if (takes_body && operation.find("requestBody") == nullptr) {
        complain(Rule::input_schema, at, "there is no requestBody");
      }
      if (found.offers.empty()) return;
    }
    found.url_path = url_path_of(path, item, operation);
    found.body = examples_.body_of(operation);
    document_.operations.push_back(std::move(found));
  }

  std::vector<Offer> read_offers(const Json& info, const std::string& at) {
    if (info.members() == nullptr) {
      complain(Rule::payment_info, at, "it is no object");
      return {};
    }
    const Json* list = info.find("offers");
    if (list == nullptr) {
      auto offer = read_offer(info, at);
      return offer ? std::vector<Offer>{std::move(*offer)} : std::vector<Offer>();
    }
    for (const char* key : {"amount", "currency", "description", "intent", "method"}) {
      if (info.find(key) == nullptr) continue;
      complain(Rule::payment_info, at + "." + key, "it stands beside offers");
    }
    if (list->items() == nullptr || list->items()->empty()) {
      complain(Rule::payment_info, at + ".offers", "it is no list with offers");
      return {};
    }
    std::vector<Offer> offers;
    for (const Json& item : *list->items()) {
      auto offer = read_offer(item, at + ".offers." + std::to_string(offers.size()));
      if (!offer) return {};
      offers.push_back(std::move(*offer));
    }
    return offers;
  }

  std::optional<Offer> read_offer(const Json& json, const std::string& at) {
    Offer offer;
    const std::size_t before = complaints_;
    for (const auto& [key, into] :
         {std::pair{"method", &offer.method}, std::pair{"intent", &offer.intent}}) {
      auto value = json.string_at(key);
      if (!value || value->empty()) {
        complain(Rule::payment_info, at + "." + key, "it is missing, or no text");
      } else {
        *into = std::move(*value);
      }
    }
    const Json* amount = json.find("amount");
    const bool is_text = amount != nullptr && amount->string() != nullptr;
    if (amount == nullptr || (!is_text && !amount->is_null()) ||
        (is_text && !Amount::parse(*amount->string()))) {
      complain(Rule::payment_info, at + ".amount", "it is not null and no text of digits");
    } else if (is_text) {
      offer.amount = *amount->string();
    }
    for (const char* key : {"currency", "description"}) {
      auto value = json.optional_string_at(key);
      if (!value) {
        complain(Rule::payment_info, at + "." + key, "it is no text");
      } else if (std::string_view(key) == "currency") {
        offer.currency = std::move(*value);
      }
    }
    return complaints_ == before ? std::optional(std::move(offer)) : std::nullopt;
  }

  /// Empty when a parameter has no example.
  std::string url_path_of(const std::string& path, const Json& item, const Json& operation) {
    std::string out;
    for (std::size_t at = 0; at < path.size();) {
      const std::size_t open = std::min(path.find('{', at), path.size());
      out += path.substr(at, open - at);
      if (open == path.size()) break;
      const std::size_t close = path.find('}', open);
      if (close == std::string::npos) return {};
      const auto value = parameter(path.substr(open + 1, close - open - 1), item, operation);
      if (!value) return {};
      out += encoded(*value);
      at = close + 1;
    }
    return out;
  }

  std::optional<std::string> parameter(const std::string& name, const Json& item,
                                       const Json& operation) {
    for (const Json* owner : {&operation, &item}) {
      const Json* list = owner->find("parameters");
      if (list == nullptr || list->items() == nullptr) continue;
      for (const Json& given : *list->items()) {
        const Json& one = examples_.resolved(given);
        const auto in = one.string_at("in");
        const auto own_name = one.string_at("name");
        if (in && *in == "path" && own_name && *own_name == name) return examples_.text_of(one);
      }
    }
    return std::nullopt;
  }

  const Json& root_;
  Examples examples_;
  Document document_;
  std::size_t complaints_ = 0;  // issues, with those that are too many to keep
};

}  // namespace

Result<Document> parse_document(std::string_view text) {
  const auto json = Json::parse(text, kMaxDocument);
  if (!json) return json.error();
  if (json->members() == nullptr) return Error{Kind::protocol, "it is no JSON object"};
  return Reader(*json).read();
}

}  // namespace paycurl::discovery
