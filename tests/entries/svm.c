#include "entries.h"
static struct hit hits[1]; static unsigned hc(void){return 0;} static u64 z; static void n(void){} static void e(enum guide h){(void)h;}
const struct vendor svm_entries = {"svm", n,n,e,hits,hc,&z,&z,&z,&z};
