// The library in one page: text goes in as it arrives, cut anywhere; committed words come out and never
// change.
//
//   stream MODEL LANGUAGE < text
#include <tandem/engine.h>

#include <iostream>
#include <string>

namespace {

/// Runs passes until the session wants more source, and prints what was committed.
tandem::Progress write_what_is_ready(tandem::Session& session) {
  tandem::Progress progress = tandem::Progress::kMore;
  while (progress == tandem::Progress::kMore) {
    progress = session.step();
    for (const tandem::Event& event : session.poll()) {
      if (event.kind == tandem::EventKind::kCommit) std::cout << event.text << std::flush;
      if (event.kind == tandem::EventKind::kSentence) std::cout << '\n';
      if (event.kind == tandem::EventKind::kFailed) std::cerr << "sentence lost: " << event.text << '\n';
    }
  }
  return progress;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: stream MODEL LANGUAGE < text\n";
    return 2;
  }
  try {
    auto engine = tandem::Engine::load(argv[1], {.n_threads = 1});
    auto session = engine.open({.target_languages = {argv[2]}, .k = 3});
    for (char byte = 0; std::cin.get(byte);) {
      if (session.push_text({&byte, 1}) != tandem::Push::kAccepted) break;
      write_what_is_ready(session);
    }
    session.finish();
    return write_what_is_ready(session) == tandem::Progress::kFinished ? 0 : 1;
  } catch (const tandem::Error& error) {
    std::cerr << "stream: " << error.what() << '\n';
    return 1;
  }
}
