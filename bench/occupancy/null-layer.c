// A Vulkan layer under which nothing is recorded or submitted: pipelines alone are made, by the driver below. RADV opens a
// GPU that is not there (RADV_FORCE_FAMILY), but has no command streams for it (vkBeginCommandBuffer would jump to address 0)
// and no memory. So commands, submits and waits succeed without doing anything here, and memory is the host's.
#include <stdlib.h>
#include <string.h>
#include <vulkan/vulkan.h>
#include <vulkan/vk_layer.h>

static PFN_vkGetInstanceProcAddr next_gipa;
static PFN_vkGetDeviceProcAddr next_gdpa;

static PFN_vkGetBufferMemoryRequirements next_needs1;
static PFN_vkGetBufferMemoryRequirements2 next_needs2;

static VkResult ok(void) { return VK_SUCCESS; }
static void nothing(void) {}

#define E __attribute__((visibility("default")))
E PFN_vkVoidFunction VKAPI_CALL vkGetDeviceProcAddr(VkDevice device, const char *name);
E PFN_vkVoidFunction VKAPI_CALL vkGetInstanceProcAddr(VkInstance instance, const char *name);

static VkResult VKAPI_CALL create_instance(const VkInstanceCreateInfo *info, const VkAllocationCallbacks *a, VkInstance *out) {
  VkLayerInstanceCreateInfo *link = (VkLayerInstanceCreateInfo *)info->pNext;
  while (link && !(link->sType == VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO && link->function == VK_LAYER_LINK_INFO))
    link = (VkLayerInstanceCreateInfo *)link->pNext;
  if (!link) return VK_ERROR_INITIALIZATION_FAILED;
  next_gipa = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
  link->u.pLayerInfo = link->u.pLayerInfo->pNext;
  PFN_vkCreateInstance next = (PFN_vkCreateInstance)next_gipa(NULL, "vkCreateInstance");
  VkResult r = next(info, a, out);
  return r;
}

static VkResult VKAPI_CALL create_device(VkPhysicalDevice p, const VkDeviceCreateInfo *info, const VkAllocationCallbacks *a, VkDevice *out) {
  VkLayerDeviceCreateInfo *link = (VkLayerDeviceCreateInfo *)info->pNext;
  while (link && !(link->sType == VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO && link->function == VK_LAYER_LINK_INFO))
    link = (VkLayerDeviceCreateInfo *)link->pNext;
  if (!link) return VK_ERROR_INITIALIZATION_FAILED;
  PFN_vkGetInstanceProcAddr gipa = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
  next_gdpa = link->u.pLayerInfo->pfnNextGetDeviceProcAddr;
  link->u.pLayerInfo = link->u.pLayerInfo->pNext;
  PFN_vkCreateDevice next = (PFN_vkCreateDevice)gipa(NULL, "vkCreateDevice");
  VkResult r = next(p, info, a, out);
  if (r != VK_SUCCESS) return r;
  next_needs1 = (PFN_vkGetBufferMemoryRequirements)next_gdpa(*out, "vkGetBufferMemoryRequirements");
  next_needs2 = (PFN_vkGetBufferMemoryRequirements2)next_gdpa(*out, "vkGetBufferMemoryRequirements2");
  return r;
}

// RADV's null device has no memory (no heap, no type): here it has one type, which is the host's.
static void memory_types(VkPhysicalDeviceMemoryProperties *m) {
  memset(m, 0, sizeof *m);
  m->memoryTypeCount = m->memoryHeapCount = 1;
  m->memoryTypes[0].propertyFlags = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
    VK_MEMORY_PROPERTY_HOST_COHERENT_BIT | VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
  m->memoryHeaps[0] = (VkMemoryHeap){ 8ull << 30, VK_MEMORY_HEAP_DEVICE_LOCAL_BIT };
}
static void VKAPI_CALL memory1(VkPhysicalDevice p, VkPhysicalDeviceMemoryProperties *m) { memory_types(m); }
static void VKAPI_CALL memory2(VkPhysicalDevice p, VkPhysicalDeviceMemoryProperties2 *m) { memory_types(&m->memoryProperties); }
static VkResult VKAPI_CALL allocate(VkDevice d, const VkMemoryAllocateInfo *i, const VkAllocationCallbacks *a, VkDeviceMemory *out) {
  void *p = calloc(1, i->allocationSize + 64);
  *out = (VkDeviceMemory)p;
  return p ? VK_SUCCESS : VK_ERROR_OUT_OF_DEVICE_MEMORY;
}
static VkResult VKAPI_CALL fence(VkDevice d, const VkFenceCreateInfo *i, const VkAllocationCallbacks *a, VkFence *out) {
  static uintptr_t last = 1 << 20; // a name, never read
  *out = (VkFence)(last += 16);
  return VK_SUCCESS;
}
static void VKAPI_CALL release(VkDevice d, VkDeviceMemory m, const VkAllocationCallbacks *a) { free((void *)m); }
static VkResult VKAPI_CALL map(VkDevice d, VkDeviceMemory m, VkDeviceSize at, VkDeviceSize n, VkMemoryMapFlags f, void **out) {
  *out = (char *)m + at;
  return VK_SUCCESS;
}
static void VKAPI_CALL needs1(VkDevice d, VkBuffer b, VkMemoryRequirements *r) { next_needs1(d, b, r); r->memoryTypeBits = 1; }
static void VKAPI_CALL needs2(VkDevice d, const VkBufferMemoryRequirementsInfo2 *i, VkMemoryRequirements2 *r) {
  next_needs2(d, i, r);
  r->memoryRequirements.memoryTypeBits = 1;
}

static PFN_vkVoidFunction own(const char *name) {
  static const char *const done[] = {
    "vkBeginCommandBuffer", "vkEndCommandBuffer", "vkResetCommandBuffer", "vkResetCommandPool", "vkQueueSubmit", "vkQueueSubmit2", "vkQueueSubmit2KHR",
    "vkQueueWaitIdle", "vkDeviceWaitIdle", "vkWaitForFences", "vkGetFenceStatus", "vkResetFences", "vkWaitSemaphores", "vkWaitSemaphoresKHR",
    "vkQueueBindSparse", "vkBindBufferMemory", "vkBindBufferMemory2", "vkBindBufferMemory2KHR", "vkUnmapMemory", "vkUpdateDescriptorSets",
    "vkFlushMappedMemoryRanges", "vkInvalidateMappedMemoryRanges", NULL };
  if (strncmp(name, "vkCmd", 5) == 0) return (PFN_vkVoidFunction)nothing;
  for (int i = 0; done[i]; i++) if (strcmp(name, done[i]) == 0) return (PFN_vkVoidFunction)ok;
  if (strcmp(name, "vkGetPhysicalDeviceMemoryProperties") == 0) return (PFN_vkVoidFunction)memory1;
  if (strncmp(name, "vkGetPhysicalDeviceMemoryProperties2", 36) == 0) return (PFN_vkVoidFunction)memory2;
  static const struct { const char *name; PFN_vkVoidFunction f; } mine[] = {
    { "vkAllocateMemory", (PFN_vkVoidFunction)allocate }, { "vkFreeMemory", (PFN_vkVoidFunction)release }, { "vkMapMemory", (PFN_vkVoidFunction)map },
    { "vkCreateFence", (PFN_vkVoidFunction)fence }, { "vkDestroyFence", nothing },
    { "vkCreateSemaphore", (PFN_vkVoidFunction)fence }, { "vkDestroySemaphore", nothing },
    { "vkGetBufferMemoryRequirements", (PFN_vkVoidFunction)needs1 }, { "vkGetBufferMemoryRequirements2", (PFN_vkVoidFunction)needs2 },
    { "vkGetBufferMemoryRequirements2KHR", (PFN_vkVoidFunction)needs2 }, { NULL, NULL } };
  for (int i = 0; mine[i].name; i++) if (strcmp(name, mine[i].name) == 0) return mine[i].f;
  if (strcmp(name, "vkCreateInstance") == 0) return (PFN_vkVoidFunction)create_instance;
  if (strcmp(name, "vkCreateDevice") == 0) return (PFN_vkVoidFunction)create_device;
  if (strcmp(name, "vkGetInstanceProcAddr") == 0) return (PFN_vkVoidFunction)vkGetInstanceProcAddr;
  if (strcmp(name, "vkGetDeviceProcAddr") == 0) return (PFN_vkVoidFunction)vkGetDeviceProcAddr;
  return NULL;
}

PFN_vkVoidFunction VKAPI_CALL vkGetDeviceProcAddr(VkDevice device, const char *name) {
  PFN_vkVoidFunction next = next_gdpa(device, name);
  if (strcmp(name, "vkGetDeviceProcAddr") == 0) return (PFN_vkVoidFunction)vkGetDeviceProcAddr;
  PFN_vkVoidFunction mine = next ? own(name) : NULL; // an extension that is not enabled stays absent
  return mine ? mine : next;
}

PFN_vkVoidFunction VKAPI_CALL vkGetInstanceProcAddr(VkInstance instance, const char *name) {
  PFN_vkVoidFunction mine = own(name);
  if (mine && (strncmp(name, "vkCreate", 8) == 0 || strncmp(name, "vkGetInstance", 13) == 0 || strncmp(name, "vkGetDevice", 11) == 0 || strncmp(name, "vkGetPhysical", 13) == 0)) return mine;
  return next_gipa ? next_gipa(instance, name) : NULL;
}
