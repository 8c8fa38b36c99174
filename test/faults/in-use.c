// Loaded into Node by soak.ts, again for each sample: has glibc give back all the memory that was freed, and says how many
// bytes are in use. What it is loaded as is that number.
//
//   cc -shared -fPIC -o in-use.node in-use.c

#include <malloc.h>

int napi_create_double(void *env, double value, void **result);

void *napi_register_module_v1(void *env, void *exports) {
  malloc_trim(0);
  struct mallinfo2 info = mallinfo2();
  void *bytes;
  napi_create_double(env, (double)info.uordblks + (double)info.hblkhd, &bytes);
  return bytes;
}
