// One exchange on a libcurl handle of its own: how it is configured, what libcurl calls, what is
// left to say at its end.
#pragma once

#include <array>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <string>

#include <curl/curl.h>

#include "src/base/secret.h"
#include "src/http/client.h"
#include "src/http/reach.h"

namespace paycurl::http {

/// Header fields may hold credentials: what is freed here is wiped first.
struct ListDeleter {
  void operator()(curl_slist* list) const {
    for (const curl_slist* field = list; field != nullptr; field = field->next) {
      wipe(field->data, std::strlen(field->data));
    }
    curl_slist_free_all(list);
  }
};
using List = std::unique_ptr<curl_slist, ListDeleter>;

struct Exchange {
  using Clock = std::chrono::steady_clock;

  Exchange(int number, Request asked, Stream& receiver, const Settings& common)
      : id(number),
        request(std::move(asked)),
        stream(&receiver),
        easy(curl_easy_init()),
        settings(&common) {}
  ~Exchange() {
    curl_easy_cleanup(easy);
    request.headers.wipe();
    wipe(request.user.data(), request.user.size());
  }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  int id;
  Request request;
  Stream* stream;
  CURL* easy;
  const Settings* settings;
  CURLSH* share = nullptr;     // of cookies
  bool connects_only = false;  // ends when the connection stands, which is then the handle's
  List fields, proxy_fields, resolve, connect_to;
  std::uint64_t offset = 0;  // into the request body
  Head head;
  bool head_done = false;
  bool head_held = false;        // a 401: libcurl may answer it with a Digest
  std::optional<Error> failure;  // ours, which says more than libcurl's
  bool ended = false;            // cancelled: waits for the loop to take it out
  int times_sent = 0;
  Clock::time_point started = Clock::now();
  Clock::time_point last_activity = started;
  std::array<char, CURL_ERROR_SIZE> detail{};  // libcurl's own words

  /// Keeps the first failure; returns 0, which is how libcurl's callbacks stop an exchange.
  std::size_t fail(Error error) {
    if (!failure) failure = std::move(error);
    return 0;
  }
};

/// Tells libcurl everything about the exchange, once, before it is run. The exchange must stay
/// where it is from then on.
void configure(Exchange& exchange);

/// Tells the stream the head that was held back. Nothing followed on it.
void show_held_head(Exchange& exchange);

/// What the exchange took, at its end.
Stats stats_of(const Exchange& exchange);

/// Why an exchange that has no `failure` of ours ended with `code`.
Error failure_of(const Exchange& exchange, CURLcode code);

}  // namespace paycurl::http
