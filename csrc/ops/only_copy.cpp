#include <ATen/core/dispatch/Dispatcher.h>
#include <dlfcn.h>
#include <link.h>

#include <stdexcept>
#include <string>
#include <string_view>

namespace voxpool {
namespace {

std::string file_of_this_library() {
  Dl_info info{};
  return dladdr(reinterpret_cast<const void*>(&file_of_this_library), &info) != 0 ? info.dli_fname : "libvoxpool";
}

std::string file_of_another_copy(std::string_view own) {
  struct Search {
    std::string_view own;
    std::string found = "another file";  // if it has another name
  } search{own};
  const auto look_at = [](dl_phdr_info* object, size_t, void* data) {
    auto& search = *static_cast<Search*>(data);
    const std::string_view file = object->dlpi_name;
    const bool is_other = file != search.own && file.substr(file.rfind('/') + 1).starts_with("libvoxpool");
    if (is_other) search.found = file;
    return static_cast<int>(is_other);
  };
  dl_iterate_phdr(look_at, &search);
  return search.found;
}

// The operators can be registered once in a process. torch would say so with the names of the source files, which two
// copies have in common, while the files they were loaded from tell which of them to leave out. It comes before the
// registrations, as these have the default priority.
[[gnu::constructor(101)]] void refuse_a_second_copy() {
  if (!c10::Dispatcher::singleton().findSchema({"voxpool::max_pool3d", ""})) return;
  const std::string own = file_of_this_library();
  throw std::runtime_error("voxpool: this process has the operators from " + file_of_another_copy(own) + ", and " +
                           own + " would be a second copy of them; load one of the two");
}

}  // namespace
}  // namespace voxpool
