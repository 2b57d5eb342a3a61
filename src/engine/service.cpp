// The public face of the service: an engine, and the thread that owns it.
#include "tandem/service.h"

#include "engine/engine_core.h"
#include "engine/service_core.h"

namespace tandem {

LiveSession::LiveSession(std::shared_ptr<LiveCore> core) : core_(std::move(core)) {}
LiveSession::LiveSession(LiveSession&&) noexcept = default;

LiveSession& LiveSession::operator=(LiveSession&& other) noexcept {
  if (this == &other) return *this;
  if (core_) core_->cancel();
  core_ = std::move(other.core_);
  return *this;
}

LiveSession::~LiveSession() {
  if (core_) core_->cancel();
}

Push LiveSession::push_text(std::string_view text) {
  return core_->push_text(text);
}
Push LiveSession::push_word(std::string_view word, Last last) {
  return core_->push_word(word, last);
}
void LiveSession::end_sentence() {
  core_->end_sentence();
}
void LiveSession::finish() {
  core_->finish();
}
void LiveSession::cancel() {
  core_->cancel();
}
std::vector<Event> LiveSession::poll() {
  return core_->poll();
}
bool LiveSession::wait_for(std::chrono::milliseconds at_most) const {
  return core_->wait_for(at_most);
}
LiveState LiveSession::state() const {
  return core_->state();
}
std::string LiveSession::error() const {
  return core_->error();
}
Counters LiveSession::counters() const {
  return core_->counters();
}

Service::Service(Engine engine)
    : engine_(std::make_unique<Engine>(std::move(engine))),
      core_(std::make_unique<ServiceCore>(
          [engine_core = engine_->core_.get()](const SessionOptions& options) {
            return engine_core->open(options);
          },
          engine_->core_->shared_pass())) {}

Service::Service(Service&&) noexcept = default;
Service& Service::operator=(Service&& other) noexcept {
  core_.reset();  // before the engine that it uses
  engine_ = std::move(other.engine_);
  core_ = std::move(other.core_);
  return *this;
}
Service::~Service() = default;

LiveSession Service::open(const SessionOptions& session, LiveOptions live) {
  return LiveSession(core_->open(session, std::move(live)));
}

std::int64_t Service::session_bytes() const {
  return engine_->session_bytes();
}

}  // namespace tandem
