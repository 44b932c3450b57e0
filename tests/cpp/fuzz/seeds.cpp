// Writes what the fuzzers start from: FOLDER/open and FOLDER/container.

#include <filesystem>
#include <fstream>
#include <string>

#include "parts.h"
#include "samples.h"

namespace {

void write(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace

int main(int argc, char** argv) {
  using namespace vicinal;
  if (argc != 2) {
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  std::filesystem::create_directories(folder / "open");
  std::filesystem::create_directories(folder / "container");
  for (const test::SavedSample& sample : test::saved_samples()) {
    const std::filesystem::path path = folder / "open" / sample.name;
    sample.save(path.string());
    write(path, test::pack(test::parts_of(path.string())));
  }
  for (const std::size_t sections : {0u, 1u, 3u}) {
    test::Parts parts{"flat", R"({"dim":3,"text":"\u00e9","list":[1.5,null,true]})", {}};
    for (std::size_t s = 0; s < sections; ++s) {
      parts.sections.emplace_back("part" + std::to_string(s), std::string(s * 50, 's'));
    }
    const auto none = [](std::uint32_t, const void*, std::size_t) noexcept { return 0u; };
    write(folder / "container" / std::to_string(sections), test::file_of(parts, none));
  }
}
