// Whatever bytes a model file has, reading its metadata ends in values or in one Error: the GGUF reader, the
// configuration, the streaming metadata, the tokenizer's tables, and every weight that the graph asks for; of
// an adapter its pairs. libllama, which comes after these checks, is not part of it.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string>
#include <vector>

#include "model/backend.h"
#include "model/family.h"
#include "model/gguf_file.h"
#include "model/lora_file.h"
#include "model/stream_metadata.h"
#include "tandem/error.h"
#include "text/vocabulary.h"

namespace {

/// The bytes as a file that lives in memory only.
class MemoryFile {
 public:
  MemoryFile(const std::uint8_t* data, std::size_t size) : fd_(::memfd_create("fuzz", MFD_CLOEXEC)) {
    if (fd_ < 0 || ::write(fd_, data, size) != static_cast<ssize_t>(size)) std::abort();
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { ::close(fd_); }

  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

void read_model(const std::string& path) {
  const auto file = tandem::GgufFile::open(path);
  if (tandem::is_adapter(*file)) {
    tandem::read_lora(*file);
    tandem::read_stream_metadata(*file, std::numeric_limits<int>::max());
    return;
  }
  const tandem::ModelConfig config = tandem::read_config(*file);
  tandem::read_stream_metadata(*file, config.n_vocab);
  tandem::check_tokenizer_tables(tandem::read_tokenizer_tables(*file), path);
  tandem::WeightLoader loader(file, tandem::find_device("CPU"), tandem::WeightLayout::kAsStored);
  const auto family = tandem::make_family(config, loader);
  const tandem::WeightBuffers weights = loader.finish();
  std::vector<float> row(static_cast<std::size_t>(config.n_embd));
  family->token_embeddings().read(config.n_vocab - 1, row);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const MemoryFile file(data, size);
  try {
    read_model(file.path());
  } catch (const tandem::Error&) {
    // The one way out that is allowed.
  }
  return 0;
}
