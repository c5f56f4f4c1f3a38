// Clients without a network, for tests.
#pragma once

#include <deque>
#include <memory>
#include <utility>

#include "src/http/client.h"

namespace paycurl::test {

/// Nobody answers.
class NoClient : public http::Client {
 public:
  int start(http::Request, http::Stream&) override { return 0; }
  void cancel(int, const Error&) override {}
  void limit(int, http::Duration) override {}
  void run() override {}
  Result<std::unique_ptr<http::Connection>> connect(const http::Request&) override {
    return http::transport_error(7, "there is no server");
  }
};

/// Asks `exchange` for what comes of each exchange, one after the other.
class FakeClient : public NoClient {
 public:
  int start(http::Request request, http::Stream& stream) override {
    waiting_.emplace_back(std::move(request), &stream);
    return ++last_;
  }
  void run() override {
    while (!waiting_.empty()) {
      const auto [request, stream] = std::move(waiting_.front());
      waiting_.pop_front();
      exchange(request, *stream);
    }
  }
  /// What was queued is forgotten.
  void clear() { waiting_.clear(); }

 protected:
  /// One exchange, `done` included.
  virtual void exchange(const http::Request& request, http::Stream& stream) = 0;

 private:
  std::deque<std::pair<http::Request, http::Stream*>> waiting_;
  int last_ = 0;
};

/// Hands everything on to a client that lives elsewhere.
class Borrowed : public http::Client {
 public:
  explicit Borrowed(http::Client& client) : client_(client) {}
  int start(http::Request request, http::Stream& stream) override {
    return client_.start(std::move(request), stream);
  }
  void cancel(int exchange, const Error& reason) override { client_.cancel(exchange, reason); }
  void limit(int exchange, http::Duration time) override { client_.limit(exchange, time); }
  void run() override { client_.run(); }
  Result<std::unique_ptr<http::Connection>> connect(const http::Request& request) override {
    return client_.connect(request);
  }

 private:
  http::Client& client_;
};

}  // namespace paycurl::test
