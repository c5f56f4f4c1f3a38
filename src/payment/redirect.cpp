#include "src/payment/redirect.h"

#include <algorithm>

namespace paycurl {

namespace {

bool keeps_post(const RedirectRules& rules, int status) {
  return (status == 301 && rules.keeps_post_301) || (status == 302 && rules.keeps_post_302) ||
         (status == 303 && rules.keeps_post_303);
}

}  // namespace

Result<> check_scheme(const http::Url& url, const Schemes& schemes, const char* option) {
  const std::string scheme = !url.websocket ? url.scheme : url.scheme == "http" ? "ws" : "wss";
  if (!schemes || std::find(schemes->begin(), schemes->end(), scheme) != schemes->end()) return {};
  return Error{Kind::usage, std::string(option) + " does not allow " + scheme};
}

Result<http::Request> redirected(const http::Request& request, const http::Head& head,
                                 const RedirectRules& rules) {
  http::Request next = request;
  auto target = http::resolve(request.url, *head.headers.find("location"));
  if (!target) return std::move(target).error().within("the redirect");
  if (auto allowed = check_scheme(*target, rules.schemes, "--proto-redir"); !allowed) {
    return std::move(allowed).error().within("the redirect");
  }
  const bool is_post = (request.body || request.method == "POST") && !rules.upload;
  const bool to_get = head.status == 303 || (is_post && (head.status == 301 || head.status == 302));
  const bool stays_post = is_post && keeps_post(rules, head.status);
  if (to_get && !request.is_head() && !stays_post) {
    if (!rules.keeps_method) next.method = "GET";
    next.body.reset();
    next.headers.remove_default("content-type");
    next.headers.remove_default("expect");
  }
  if (rules.sets_referer) {
    next.headers.remove("referer");
    next.headers.add("Referer", request.url.text);
  }
  if (target->origin() != request.url.origin()) {
    next.headers.remove("authorization");
    next.headers.remove("cookie");
    next.user.clear();
  }
  if (!head.local_socket && !head.peer_ip.empty() && !http::is_private_address(head.peer_ip)) {
    next.peers = http::PeerRule::not_private;
  }
  next.url = std::move(*target);
  return next;
}

}  // namespace paycurl
