#include "src/payment/redirect.h"

namespace paycurl {

Result<http::Request> redirected(const http::Request& request, const http::Head& head,
                                 const RedirectRules& rules) {
  http::Request next = request;
  auto target = http::resolve(request.url, *head.headers.find("location"));
  if (!target) return std::move(target).error().within("the redirect");
  const bool to_get = head.status == 303 ||
                      (request.method == "POST" && (head.status == 301 || head.status == 302));
  if (to_get && !request.is_head()) {
    if (!rules.keeps_method) next.method = "GET";
    next.body.reset();
    next.headers.remove("content-type");
  }
  if (rules.sets_referer) {
    next.headers.remove("referer");
    next.headers.add("Referer", request.url.text);
  }
  if (target->origin() != request.url.origin()) {
    next.headers.remove("authorization");
    next.headers.remove("cookie");
  }
  if (!head.peer_ip.empty() && !http::is_private_address(head.peer_ip)) {
    next.peers = http::PeerRule::not_private;
  }
  next.url = std::move(*target);
  return next;
}

}  // namespace paycurl
