#include "commands/registry.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include <fcntl.h>
#include <unistd.h>

#include "commands/output.h"
#include "src/base/json.h"
#include "src/base/text.h"
#include "src/payment/redirect.h"

namespace paycurl {
namespace {

constexpr std::string_view kPublic = "https://mpp.dev/api/services";
constexpr std::int64_t kUsualAge = 300;  // seconds
constexpr std::int64_t kMostAge = 24L * 3600;
constexpr std::size_t kMaxHead = 4096;
constexpr int kMaxRedirects = 5;

/// What is in the cache: a line of JSON about the text, then the text as it came.
struct Copy {
  std::string url, etag, text;
  Millis fetched = 0, fresh_until = 0;
  std::vector<ListedService> services;  // of the text
};

std::string file_of(const Settings& settings) {
  return settings.cache_folder.empty() ? "" : settings.cache_folder + "/services.json";
}

std::optional<std::string> read_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return std::nullopt;
  std::string text(kMaxHead + kMaxRegistry, '\0');
  std::size_t size = 0;
  ssize_t got = 1;
  while (got > 0 && size < text.size()) {
    got = ::read(fd, text.data() + size, text.size() - size);
    if (got > 0) size += static_cast<std::size_t>(got);
  }
  ::close(fd);
  if (got < 0) return std::nullopt;
  text.resize(size);
  return text;
}

/// The copy of that URL's answer; nothing when there is none that can be read.
std::optional<Copy> load(const Settings& settings, const std::string& url) {
  const std::string file = file_of(settings);
  const auto text = file.empty() ? std::nullopt : read_file(file);
  const std::size_t end = text ? text->find('\n') : std::string::npos;
  if (end == std::string::npos) return std::nullopt;
  const auto head = Json::parse(text->substr(0, end), kMaxHead);
  if (!head) return std::nullopt;
  const auto from = head->string_at("url");
  const auto etag = head->string_at("etag");
  const auto fetched = head->optional_integer_at("fetched");
  const auto fresh_until = head->optional_integer_at("freshUntil");
  if (!from || *from != url || !etag || !fetched || !fresh_until) return std::nullopt;
  Copy copy{url, *etag, text->substr(end + 1), fetched->value_or(0), fresh_until->value_or(0), {}};
  auto services = read_registry(copy.text);
  if (!services) return std::nullopt;
  copy.services = std::move(*services);
  return copy;
}

/// Writes the copy, whole or not at all. That it cannot be kept is no failure of the command.
void store(const Settings& settings, const Copy& copy) {
  const std::string file = file_of(settings);
  if (file.empty()) return;
  std::error_code failed;
  std::filesystem::create_directories(settings.cache_folder, failed);
  std::string draft = file + ".XXXXXX";
  const int fd = ::mkostemp(draft.data(), O_CLOEXEC);  // 0600
  if (fd < 0) return;
  const Json head = Json::object({{"url", copy.url},
                                  {"etag", copy.etag},
                                  {"fetched", copy.fetched},
                                  {"freshUntil", copy.fresh_until}});
  const auto written = write_all(fd, head.dump() + "\n" + copy.text);
  ::close(fd);
  if (!written || ::rename(draft.c_str(), file.c_str()) != 0) ::unlink(draft.c_str());
}

/// Seconds for which an answer is good (RFC 9111 section 5.2.2); nullopt: it must not be kept.
std::optional<std::int64_t> max_age_of(const http::Head& head) {
  const std::string* field = head.headers.find("cache-control");
  if (field == nullptr) return kUsualAge;
  const std::string rules = lower(*field);
  if (rules.find("no-store") != std::string::npos) return std::nullopt;
  constexpr std::string_view kMaxAge = "max-age=";
  const std::size_t at = rules.find(kMaxAge);
  if (rules.find("no-cache") != std::string::npos || at == std::string::npos) return 0;
  const std::string digits = rules.substr(at + kMaxAge.size(), 9);
  return std::min<std::int64_t>(std::strtoll(digits.c_str(), nullptr, 10), kMostAge);
}

Result<http::Answer> ask(http::Client& client, http::Request request) {
  for (int hops = 0;; ++hops) {
    auto answer = http::fetch(client, request, kMaxRegistry);
    if (!answer || !answer->head.is_redirect()) return answer;
    if (hops == kMaxRedirects) return http::transport_error(47, "too many redirects");
    auto next = redirected(request, answer->head, {});
    if (!next) return next.error();
    request = std::move(*next);
  }
}

/// Asks the server, with the copy's ETag when there is one.
Result<Copy> fetch_copy(http::Client& client, const std::string& url,
                        const std::optional<Copy>& old, const Settings& settings) {
  http::Request request;
  auto parsed = http::parse_url(url);
  if (!parsed) return parsed.error();
  request.url = std::move(*parsed);
  request.headers.add("Accept", "application/json");
  request.deadlines.total = std::chrono::seconds(30);
  if (old && !old->etag.empty()) request.headers.add("If-None-Match", old->etag);
  auto answer = ask(client, std::move(request));
  if (!answer) return answer.error();
  const bool unchanged = old && answer->head.status == 304;
  if (answer->head.status != 200 && !unchanged) {
    return Error{Kind::http_status, "the registry answered " + std::to_string(answer->head.status)};
  }
  Copy copy{url, "", unchanged ? old->text : answer->body, system_now(), 0, {}};
  auto services = read_registry(copy.text);
  if (!services) return services.error();
  copy.services = std::move(*services);
  const std::string* etag = answer->head.headers.find("etag");
  copy.etag = etag != nullptr && etag->size() <= 256 ? *etag : unchanged ? old->etag : "";
  const auto age = max_age_of(answer->head);
  copy.fresh_until = copy.fetched + age.value_or(0) * 1000;
  if (age) store(settings, copy);
  return copy;
}

}  // namespace

Result<Registry> get_registry(const Globals& globals, http::Client& client,
                              const RegistryUse& use) {
  const Settings& settings = globals.settings;
  const std::string url = settings.services_url.value_or(std::string(kPublic));
  auto copy = load(settings, url);
  const Millis now = system_now();
  const bool fresh = copy && now < copy->fresh_until && copy->fetched <= now;
  if (!copy && use.offline) {
    return Error{Kind::usage, "there is no copy of the registry to use with --offline",
                 "run the command once without it"};
  }
  bool stale = copy && !fresh;
  if (!use.offline && (use.refresh || !fresh)) {
    auto fetched = fetch_copy(client, url, copy, settings);
    const bool may_be_old =
        copy && !use.refresh && !fetched &&
        (fetched.error().kind == Kind::transport || fetched.error().kind == Kind::http_status);
    if (!fetched && !may_be_old) return std::move(fetched).error().within(printable(url));
    if (fetched) {
      copy = std::move(*fetched);
      stale = false;
    } else if (!globals.silent) {
      say_note("the registry is not to be had (" + fetched.error().message +
               "); this is the copy of " + format_rfc3339(copy->fetched / 1000 * 1000));
    }
  }
  return Registry{url, copy->fetched, stale, std::move(copy->services)};
}

}  // namespace paycurl
