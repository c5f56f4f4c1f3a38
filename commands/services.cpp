// paycurl services: the directory of paid services.
#include <algorithm>

#include "commands/json.h"
#include "commands/network.h"
#include "commands/options.h"
#include "commands/output.h"
#include "commands/registry.h"
#include "src/base/text.h"
#include "src/methods/tempo/chain.h"

namespace paycurl {
namespace {

Json text_or_null(const std::string& text) {
  return Json::or_null(std::string_view(text));
}

Json texts_json(const std::vector<std::string>& texts) {
  Json array = Json::array();
  for (const std::string& text : texts) {
    array.push(text);
  }
  return array;
}

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) {
    all += (all.empty() ? "" : ", ") + text;
  }
  return all;
}

/// The symbol of a token that paycurl vouches for; empty of any other.
std::string symbol_of(const std::string& currency) {
  const auto address = Address::parse(currency);
  const auto asset = address ? tempo::known_token(tempo::kMainnet, *address) : std::nullopt;
  return asset ? asset->symbol : "";
}

/// "0.01 USDC.e for each request", "varies (0.01 to 2)".
std::string price_text(const ListedEndpoint& endpoint) {
  if (!endpoint.price) return "free";
  const ListedPrice& price = *endpoint.price;
  const std::string hint = price.hint.empty() ? "" : " (" + printable(price.hint, 40) + ")";
  if (price.dynamic) return "varies" + hint;
  const std::string units = price.units();
  if (units.empty()) return "paid" + hint;
  const std::string symbol = symbol_of(price.currency);
  const bool is_address = price.currency.starts_with("0x");
  const std::string named = !symbol.empty() ? symbol
                            : is_address    ? shortened(printable(price.currency, 42))
                                            : printable(price.currency, 12);
  const std::string unit = price.unit.empty() ? "" : " for each " + printable(price.unit, 20);
  return units + " " + named + unit;
}

Json price_json(const ListedPrice& price) {
  return Json::object({{"method", text_or_null(price.method)},
                       {"intent", text_or_null(price.intent)},
                       {"amount", text_or_null(price.units())},
                       {"base", price.amount ? Json(price.amount->decimal()) : Json()},
                       {"decimals", price.decimals ? Json(*price.decimals) : Json()},
                       {"currency", text_or_null(price.currency)},
                       {"symbol", text_or_null(symbol_of(price.currency))},
                       {"unit", text_or_null(price.unit)},
                       {"dynamic", price.dynamic},
                       {"hint", text_or_null(price.hint)},
                       {"description", text_or_null(price.description)}});
}

Json endpoints_json(const ListedService& service) {
  Json array = Json::array();
  for (const ListedEndpoint& endpoint : service.endpoints) {
    const std::string& base = service.service_url;
    array.push(Json::object({{"method", text_or_null(endpoint.method)},
                             {"path", text_or_null(endpoint.path)},
                             {"url", base.empty() ? Json() : Json(base + endpoint.path)},
                             {"description", text_or_null(endpoint.description)},
                             {"price", endpoint.price ? price_json(*endpoint.price) : Json()}}));
  }
  return array;
}

Json service_json(const ListedService& service) {
  return Json::object({{"id", service.id},
                       {"name", text_or_null(service.name)},
                       {"url", text_or_null(service.url)},
                       {"serviceUrl", text_or_null(service.service_url)},
                       {"description", text_or_null(service.description)},
                       {"status", text_or_null(service.status)},
                       {"provider", text_or_null(service.provider)},
                       {"categories", texts_json(service.categories)},
                       {"tags", texts_json(service.tags)},
                       {"methods", texts_json(service.methods)},
                       {"paidEndpoints", static_cast<std::int64_t>(service.paid_endpoints())}});
}

std::string endpoints_text(const ListedService& service) {
  std::vector<std::vector<std::string>> rows;
  for (const ListedEndpoint& endpoint : service.endpoints) {
    rows.push_back({printable(endpoint.method, 10), printable(endpoint.path, 80),
                    price_text(endpoint), printable(endpoint.description, 80)});
  }
  return rows.empty() ? "no endpoints are listed\n" : table(rows);
}

class ServicesCommand : public Command {
 public:
  void declare(OptionSet& set) override {
    set.in("Services")
        .positional("verb", verb_, "what to do")
        .positional("id", id_, "a service: its ID, or the start of it")
        .value("-q,--query", filter_.text, "TEXT", "list: that have this text somewhere")
        .value("--category", filter_.category, "NAME", "list: of that category")
        .value("--method", filter_.method, "NAME", "list: paid with that method")
        .value("--status", filter_.status, "WORD", "list: active, beta, deprecated, maintenance")
        .flag("--refresh", use_.refresh, "ask the registry even when the copy is fresh")
        .flag("--offline", use_.offline, "use the copy, however old it is");
  }

  Result<int> run(const Globals& globals) override;

 private:
  Result<> list(const Globals& globals) const;
  Result<> show(const Globals& globals, const ListedService& service) const;
  Result<> endpoints(const Globals& globals, const ListedService& service) const;
  Result<const ListedService*> named_service() const;
  Json with_registry(Json json) const;

  std::string verb_, id_;
  RegistryFilter filter_;
  RegistryUse use_;
  Registry registry_;
};

Result<int> ServicesCommand::run(const Globals& globals) {
  const bool lists = verb_.empty() || verb_ == "list";
  const bool shows = verb_ == "show" || verb_ == "view";
  if (!lists && !shows && verb_ != "endpoints") {
    return Error{Kind::usage, "not something to do with services: " + printable(verb_, 40),
                 "list, show and endpoints are"};
  }
  if (lists && !id_.empty()) {
    return Error{Kind::usage, "unexpected argument " + printable(id_, 80),
                 "to search: paycurl services list -q TEXT"};
  }
  if (!lists && id_.empty()) {
    return Error{Kind::usage, "which service? give its ID", "see paycurl services list"};
  }
  if (use_.refresh && use_.offline) {
    return Error{Kind::usage, "--refresh and --offline exclude each other"};
  }
  auto network = make_network(globals, {});
  if (!network) return network.error();
  auto registry = get_registry(globals, *network->client, use_);
  if (!registry) return registry.error();
  registry_ = std::move(*registry);
  Result<> done;
  if (lists) {
    done = list(globals);
  } else {
    const auto service = named_service();
    if (!service) return service.error();
    done = shows ? show(globals, **service) : endpoints(globals, **service);
  }
  return done ? Result<int>(0) : Result<int>(done.error());
}

/// By its whole ID, else by the only one that begins so.
Result<const ListedService*> ServicesCommand::named_service() const {
  const ListedService* found = nullptr;
  bool several = false;
  const std::string wanted = lower(id_);
  for (const ListedService& service : registry_.services) {
    const std::string id = lower(service.id);
    if (id == wanted) return &service;
    if (!id.starts_with(wanted)) continue;
    several = found != nullptr;
    found = &service;
  }
  if (found != nullptr && !several) return found;
  return Error{
      Kind::usage,
      (several ? "more than one service begins with " : "no service ") + printable(id_, 60),
      "see paycurl services list"};
}

/// Where it is from, and from when.
Json ServicesCommand::with_registry(Json json) const {
  return json.set("registry", Json::object({{"url", registry_.url},
                                            {"fetchedAt", format_rfc3339(registry_.fetched)},
                                            {"stale", registry_.stale}}));
}

Result<> ServicesCommand::list(const Globals& globals) const {
  Json services = Json::array();
  std::string lines;
  std::vector<std::vector<std::string>> rows;
  for (const ListedService& service : registry_.services) {
    if (!filter_.matches(service)) continue;
    if (globals.json) services.push(service_json(service));
    if (globals.json_lines) lines += with_hidden_escaped(service_json(service).dump()) + "\n";
    rows.push_back({printable(service.id, 40), printable(service.name, 40),
                    printable(service.status, 12), printable(joined(service.methods), 30),
                    std::to_string(service.paid_endpoints()) + " paid",
                    printable(joined(service.categories), 40)});
  }
  if (globals.json) return print_json(with_registry(envelope().set("services", services)));
  if (globals.json_lines) return print(lines);
  return print(rows.empty() ? "no services\n" : table(rows));
}

Result<> ServicesCommand::show(const Globals& globals, const ListedService& service) const {
  if (globals.json) {
    Json json = service_json(service);
    json.set("realm", text_or_null(service.realm));
    json.set("docs", Json::object({{"homepage", text_or_null(service.homepage)},
                                   {"apiReference", text_or_null(service.api_reference)},
                                   {"llmsTxt", text_or_null(service.llms)}}));
    json.set("endpoints", endpoints_json(service));
    return print_json(with_registry(envelope().set("service", std::move(json))));
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& [name, value] :
       {std::pair{"service", service.id}, std::pair{"name", service.name},
        std::pair{"status", service.status}, std::pair{"about", service.description},
        std::pair{"by", service.provider}, std::pair{"url", service.service_url},
        std::pair{"site", service.url}, std::pair{"documents", service.homepage},
        std::pair{"reference", service.api_reference}, std::pair{"llms.txt", service.llms},
        std::pair{"categories", joined(service.categories)},
        std::pair{"tags", joined(service.tags)}, std::pair{"methods", joined(service.methods)}}) {
    if (!value.empty()) rows.push_back({name, printable(value, 400)});
  }
  return print(table(rows) + "\n" + endpoints_text(service));
}

Result<> ServicesCommand::endpoints(const Globals& globals, const ListedService& service) const {
  if (!globals.json) return print(endpoints_text(service));
  return print_json(with_registry(
      envelope().set("serviceId", service.id).set("endpoints", endpoints_json(service))));
}

}  // namespace

std::unique_ptr<Command> make_services() {
  return std::make_unique<ServicesCommand>();
}

}  // namespace paycurl
