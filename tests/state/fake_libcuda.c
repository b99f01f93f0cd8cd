/* A test double of libcuda.so.1: answers what the environment says. FAKE_CUDA: "key value" pairs, of count, version,
   init, mode, major, minor. */
#include <stdlib.h>
#include <string.h>

static int told(const char *key, int otherwise)
{
    const char *text = getenv("FAKE_CUDA");
    for (size_t length = strlen(key); text && *text; text = strchr(text, ' ') ? strchr(text, ' ') + 1 : 0)
        if (!strncmp(text, key, length) && text[length] == ' ')
            return atoi(text + length);
    return otherwise;
}

int cuInit(unsigned flags) { return (int)flags + told("init", 0); }
int cuDriverGetVersion(int *version) { *version = told("version", 13000); return 0; }
int cuDeviceGetCount(int *count) { *count = told("count", 1); return 0; }
int cuDeviceGet(int *device, int index) { *device = index; return 0; }
int cuDeviceGetUuid(char *out, int device)
{
    for (int k = 0; k < 16; k++)
        out[k] = (char)(16 * device + k);
    return told("uuid", 0);
}
int cuDeviceGetAttribute(int *value, int what, int device)
{
    (void)device;
    *value = what == 20 ? told("mode", 0) : what == 75 ? told("major", 9) : what == 76 ? told("minor", 0) : -1;
    return 0;
}
