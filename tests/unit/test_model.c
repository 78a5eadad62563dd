/* SPDX-License-Identifier: GPL-3.0-or-later */
/* CPU models, CPUID, MSRs. */
#include "tests/unit/cpu_rig.h"
#include "unit.h"

#include "base/bits.h"
#include "base/nearest.h"

static struct cpu_model parse(const char *text)
{
    struct cpu_model m;
    struct error err = {0};
    ck_assert_msg(cpu_model_parse(&m, text, &err), "%s: %s", text, err.text);
    return m;
}

static void refuse(const char *text, const char *word1, const char *word2)
{
    struct cpu_model m;
    struct error err = {0};
    ck_assert_msg(!cpu_model_parse(&m, text, &err), "%s is accepted", text);
    ck_assert_msg(strstr(err.text, word1) != NULL && strstr(err.text, word2) != NULL, "%s: %s",
                  text, err.text);
    ck_assert_ptr_null(strchr(err.text, '\n'));
}

START_TEST(test_nearest__distance)
{
    ck_assert_uint_eq(edit_distance("avx", "avx"), 0);
    ck_assert_uint_eq(edit_distance("AVX2", "avx"), 1);
    ck_assert_uint_eq(edit_distance("sems", "smes"), 1);
    ck_assert_uint_eq(edit_distance("", "abc"), 3);
    ck_assert_uint_eq(edit_distance("kitten", "sitting"), 3);
}
END_TEST

START_TEST(test_model__names)
{
    struct cpu_model m = parse("intel");
    ck_assert_int_eq(m.vendor, CPU_VENDOR_INTEL);
    ck_assert_uint_eq(m.model, 106);
    ck_assert(model_has(&m, CPU_FEATURE_AVX2) && !model_has(&m, CPU_FEATURE_SSE4A));
    ck_assert(!model_has(&m, CPU_FEATURE_AVX512F) && !model_has(&m, CPU_FEATURE_HYPERVISOR));
    m = parse("amd");
    ck_assert_uint_eq(m.family, 0x19);
    ck_assert(model_has(&m, CPU_FEATURE_CLZERO) && !model_has(&m, CPU_FEATURE_TSC_DEADLINE));
    m = parse("EPYC-Milan-v2,-smap,+invtsc");
    ck_assert_int_eq(m.vendor, CPU_VENDOR_AMD);
    ck_assert(!model_has(&m, CPU_FEATURE_SMAP));
    m = parse("Haswell-noTSX-IBRS");
    ck_assert_int_eq(m.vendor, CPU_VENDOR_INTEL);
    m = parse("qemu32");
    ck_assert(!model_has(&m, CPU_FEATURE_LM) && !model_has(&m, CPU_FEATURE_PCID));
    ck_assert_uint_eq(m.phys_bits, 36);
    m = parse("max,vendor=AuthenticAMD");
    ck_assert(model_has(&m, CPU_FEATURE_SSE4A) && model_has(&m, CPU_FEATURE_LA57));
    ck_assert(!model_has(&m, CPU_FEATURE_PKS));
    m = parse("host");
    ck_assert(model_has(&m, CPU_FEATURE_CET_SS) && model_has(&m, CPU_FEATURE_LAM));
    (void)parse("base");
}
END_TEST

START_TEST(test_model__properties)
{
    struct cpu_model m =
        parse("max,phys-bits=40,family=6,model=0x55,stepping=4,model-id=My CPU,SSE4_1=off,pmu=off,"
              "kvm=off,enforce,migratable=no,host-phys-bits,l3-cache=on,-pclmuldq");
    ck_assert_uint_eq(m.phys_bits, 40);
    ck_assert_uint_eq(m.model, 0x55);
    ck_assert_str_eq(m.brand, "My CPU");
    ck_assert(!m.pmu);
    ck_assert(!model_has(&m, CPU_FEATURE_SSE41) && !model_has(&m, CPU_FEATURE_AVX2));
    ck_assert(!model_has(&m, CPU_FEATURE_PCLMULQDQ));
    m = parse("intel,-avx512f,-vmx,vmx-ept=off,avx2=on");
    ck_assert(model_has(&m, CPU_FEATURE_AVX2));
    /* Odd, but possible. */
    m = parse("intel,-pcid,-popcnt");
    ck_assert(model_has(&m, CPU_FEATURE_INVPCID) && model_has(&m, CPU_FEATURE_SSE42));
}
END_TEST

/* A name of no vendor becomes what its features ask for. */
START_TEST(test_model__neutral_names)
{
    ck_assert_int_eq((int)parse("qemu64").vendor, CPU_VENDOR_AMD);
    struct cpu_model m = parse("qemu64,+x2apic,+tsc-deadline");
    ck_assert_int_eq((int)m.vendor, CPU_VENDOR_INTEL);
    ck_assert(model_has(&m, CPU_FEATURE_TSC_DEADLINE));
    ck_assert_int_eq((int)parse("qemu64,vendor=GenuineIntel").vendor, CPU_VENDOR_INTEL);
    ck_assert_int_eq((int)parse("kvm64,+rdpru").vendor, CPU_VENDOR_AMD);
    refuse("qemu64,vendor=amd,+tsc-deadline", "tsc-deadline", "amd");
    refuse("EPYC,+tsc-deadline", "tsc-deadline", "amd");
}
END_TEST

START_TEST(test_model__refused)
{
    refuse("itnel", "did you mean", "intel");
    refuse("intel,+smpa", "smpa", "smap");
    refuse("intel,+zzzzzzzzzz", "zzzzzzzzzz", "cpu features");
    refuse("intel,+avx2,-avx", "avx2", "avx");
    refuse("base,+avx2", "avx2", "avx");
    refuse("intel,-lm,+pcid", "pcid", "lm");
    refuse("intel,-erms,+fsrm", "fsrm", "erms");
    refuse("intel,-syscall,+lm", "lm", "syscall");
    refuse("max,+avx512f", "avx512f", "not implemented");
    refuse("max,+svm,+vmx", "svm", "vmx");
    refuse("intel,+sse4a", "sse4a", "intel");
    refuse("max,vendor=amd,+pks", "pks", "amd");
    refuse("intel,hv-relaxed", "hv-relaxed", "hypervisor");
    refuse("intel,phys-bits=60", "phys-bits", "52");
    refuse("intel,smap=maybe", "smap", "on or off");
    refuse("intel,vendor=via", "via", "amd");
}
END_TEST

/* What CPUID says follows from itself: whatever is switched, no feature lacks what it needs, sizes
 * add up, topology leaves agree. */
static void check_cpuid(struct cpu *cpu)
{
    struct cpuid_regs l0 = cpuid_lookup(cpu, 0, 0), l1 = cpuid_lookup(cpu, 1, 0);
    struct cpuid_regs l7 = cpuid_lookup(cpu, 7, 0), ld = cpuid_lookup(cpu, 0xd, 0);
    struct cpuid_regs e1 = cpuid_lookup(cpu, 0x80000001, 0), e8 = cpuid_lookup(cpu, 0x80000008, 0);
    bool xsave = (l1.ecx >> 26 & 1) != 0, avx = (l1.ecx >> 28 & 1) != 0,
         lm = (e1.edx >> 29 & 1) != 0;
    ck_assert_uint_ge(l0.eax, 0xd);
    ck_assert(!avx || xsave);
    ck_assert((l7.ebx >> 5 & 1) == 0 || avx);
    ck_assert((l1.ecx >> 17 & 1) == 0 || lm);
    ck_assert((l7.ecx >> 16 & 1) == 0 || lm);
    ck_assert_uint_eq(l1.ebx >> 24, cpu->index);
    ck_assert_uint_eq(cpuid_lookup(cpu, 0xb, 0).edx, cpu->index);
    ck_assert_uint_eq(e8.eax & 0xff, cpu->model->phys_bits);
    ck_assert_uint_eq((ld.eax >> 2) & 1, avx);
    if (!xsave) {
        ck_assert_uint_eq(ld.eax | ld.ecx | cpuid_lookup(cpu, 0xd, 1).eax, 0);
        return;
    }
    u32 end = 576;
    for (u32 i = 2; i < 63; i++) {
        struct cpuid_regs c = cpuid_lookup(cpu, 0xd, i);
        bool user = i < 32 && (ld.eax >> i & 1) != 0;
        bool super = i < 32 && (cpuid_lookup(cpu, 0xd, 1).ecx >> i & 1) != 0;
        ck_assert((c.eax != 0) == (user || super));
        if (user) {
            end = c.ebx + c.eax > end ? c.ebx + c.eax : end;
        }
    }
    ck_assert_uint_eq(ld.ecx, end);
}

START_TEST(test_model__random_switches)
{
    u64 seed = 12345;
    static const char *const bases[] = {"intel", "amd", "max", "max,vendor=amd"};
    for (unsigned round = 0; round < 400; round++) {
        char text[1024];
        int len = snprintf(text, sizeof text, "%s", bases[round % 4]);
        for (unsigned k = 0; k < 6; k++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            unsigned f = (unsigned)(seed >> 33) % CPU_FEATURE_COUNT;
            len += snprintf(text + len, sizeof text - (size_t)len, ",%s%s",
                            (seed >> 62) == 0 ? "+" : "-", feature_table[f].name);
        }
        struct rig r;
        struct cpu_model m;
        struct error err = {0};
        if (!cpu_model_parse(&m, text, &err)) {
            ck_assert_int_eq(err.status, EXIT_STATUS_USAGE);
            ck_assert_uint_gt(strlen(err.text), 10);
            continue;
        }
        rig_init(&r, text, 3);
        check_cpuid(&r.cpu[2]);
        rig_free(&r);
    }
}
END_TEST

START_TEST(test_model__tables)
{
    for (unsigned f = 0; f < CPU_FEATURE_COUNT; f++) {
        for (unsigned g = 0; g < f; g++) {
            const struct feature_info *a = &feature_table[f], *b = &feature_table[g];
            ck_assert_msg(strcmp(a->name, b->name) != 0, "%s twice", a->name);
            ck_assert_msg(a->leaf != b->leaf || a->subleaf != b->subleaf || a->reg != b->reg ||
                              a->bit != b->bit,
                          "%s and %s are one bit", a->name, b->name);
        }
    }
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    cpu_feature_list(out);
    cpu_model_list(out);
    (void)fclose(out);
    ck_assert_ptr_nonnull(strstr(text, "80000001h.0 ECX bit 2"));
    free(text);
}
END_TEST

START_TEST(test_cpuid__state)
{
    struct rig r;
    rig_init(&r, "intel", 2);
    struct cpu *cpu = &r.cpu[1];
    ck_assert_uint_eq(cpuid_lookup(cpu, 1, 0).ecx >> 27 & 1, 0);
    cpu->arch.cr4 = CR4_OSXSAVE | CR4_PKE;
    ck_assert_uint_eq(cpuid_lookup(cpu, 1, 0).ecx >> 27 & 1, 1);
    ck_assert_uint_eq(cpuid_lookup(cpu, 7, 0).ecx >> 4 & 1, 1);
    cpu->arch.xcr0 = XCR0_X87 | XCR0_SSE;
    ck_assert_uint_eq(cpuid_lookup(cpu, 0xd, 0).ebx, 576);
    cpu->arch.xcr0 = XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_PKRU;
    ck_assert_uint_eq(cpuid_lookup(cpu, 0xd, 0).ebx, 2696);
    ck_assert_uint_eq(cpuid_lookup(cpu, 0xd, 1).ebx, 840);
    /* Intel repeats its highest basic leaf for whatever does not exist. */
    struct cpuid_regs top = cpuid_lookup(cpu, 0x1f, 1), beyond = cpuid_lookup(cpu, 0x40000000, 1);
    ck_assert_mem_eq(&top, &beyond, sizeof top);
    ck_assert_uint_eq(cpuid_lookup(cpu, 0x1f, 1).ebx, 2);
    struct cpuid_regs c = cpuid_lookup(cpu, 0x15, 0);
    ck_assert_uint_eq((u64)c.ecx * c.ebx / c.eax, RIG_TSC_HZ);
    rig_free(&r);
    rig_init(&r, "amd", 1);
    top = cpuid_lookup(&r.cpu[0], 0x40000000, 0);
    ck_assert_uint_eq(top.eax | top.ebx | top.ecx | top.edx, 0);
    ck_assert_uint_eq(cpuid_lookup(&r.cpu[0], 1, 0).eax, 0x00a00f11);
    ck_assert_uint_eq(cpuid_lookup(&r.cpu[0], 0xd, 0).ecx, 2440);
    /* No hypervisor bit on either. */
    ck_assert_uint_eq(cpuid_lookup(&r.cpu[0], 1, 0).ecx >> 31, 0);
    rig_free(&r);
}
END_TEST

/* AMD's override registers say what CPUID says, and change it; what follows other registers goes on following them. */
START_TEST(test_model__override)
{
    struct rig r;
    rig_init(&r, "amd", 2);
    struct cpu *c = &r.cpu[1];
    c->arch.cr4 |= CR4_OSXSAVE;
    struct cpuid_regs one = cpuid_lookup(c, 1, 0), seven = cpuid_lookup(c, 7, 0), ext = cpuid_lookup(c, 0x80000001, 0);
    ck_assert_uint_eq(rig_rdmsr(c, MSR_AMD_CPUID_1), (u64)one.ecx << 32 | one.edx);
    ck_assert_uint_eq(rig_rdmsr(c, MSR_AMD_CPUID_EXT), (u64)ext.ecx << 32 | ext.edx);
    ck_assert_uint_eq(rig_rdmsr(c, MSR_AMD_CPUID_7), (u64)seven.eax << 32 | seven.ebx);
    ck_assert_uint_eq(rig_rdmsr(c, MSR_AMD_CPUID_6), cpuid_lookup(c, 6, 0).ecx);
    for (u32 msr = MSR_AMD_CPUID_7; msr <= MSR_AMD_CPUID_EXT; msr++) { /* what was read may be written: nothing changes */
        rig_wrmsr(c, msr, rig_rdmsr(c, msr));
        ck_assert_uint_eq(c->arch.cpuid_flips[msr - MSR_AMD_CPUID_7], 0);
    }
    /* Without SSE4.2 and MONITOR, with HYPERVISOR, the rest as it was; features are what they were. */
    u64 value = (u64)one.ecx << 32 | one.edx;
    rig_wrmsr(c, MSR_AMD_CPUID_1, (value & ~(BIT(32 + 20) | BIT(32 + 3))) | BIT(32 + 31));
    ck_assert_uint_eq(cpuid_lookup(c, 1, 0).ecx, (one.ecx & ~(BIT32(20) | BIT32(3))) | BIT32(31));
    ck_assert_uint_eq(cpuid_lookup(c, 1, 0).edx, one.edx);
    ck_assert_uint_eq(cpuid_lookup(c, 1, 0).eax, one.eax);
    ck_assert(cpu_has(c, CPU_FEATURE_SSE42));
    c->arch.cr4 &= ~(u64)CR4_OSXSAVE;
    ck_assert_uint_eq(cpuid_lookup(c, 1, 0).ecx >> 27 & 1, 0);
    ck_assert_uint_eq(rig_rdmsr(c, MSR_AMD_CPUID_1) >> (32 + 27) & 1, 1);
    c->arch.cr4 |= CR4_OSXSAVE;
    rig_wrmsr(c, MSR_AMD_CPUID_1, value & ~BIT(32 + 27));
    ck_assert_uint_eq(cpuid_lookup(c, 1, 0).ecx >> 27 & 1, 0);
    c->arch.hwcr |= HWCR_MONITOR_DISABLE;
    ck_assert_uint_eq(cpuid_lookup(c, 1, 0).ecx >> 3 & 1, 0);
    ck_assert_uint_eq(rig_rdmsr(c, MSR_AMD_CPUID_1) >> (32 + 3) & 1, 1);
    /* The other leaves; sub-leaves of 7 and the other processor have nothing to do with it. */
    rig_wrmsr(c, MSR_AMD_CPUID_7, (u64)seven.eax << 32);
    rig_wrmsr(c, MSR_AMD_CPUID_EXT, 0);
    rig_wrmsr(c, MSR_AMD_CPUID_6, 0);
    ck_assert_uint_eq(cpuid_lookup(c, 7, 0).ebx, 0);
    ck_assert_uint_eq(cpuid_lookup(c, 7, 0).ecx, seven.ecx);
    ck_assert_uint_eq(cpuid_lookup(c, 0x80000001, 0).ecx | cpuid_lookup(c, 0x80000001, 0).edx, 0);
    ck_assert_uint_eq(cpuid_lookup(c, 6, 0).ecx, 0);
    ck_assert_uint_ne(cpuid_lookup(&r.cpu[0], 7, 0).ebx, 0);
    rig_wrmsr_gp(c, MSR_AMD_CPUID_6, BIT(32));
    msr_reset(c, true);
    ck_assert_uint_eq(cpuid_lookup(c, 7, 0).ebx, 0);
    msr_reset(c, false);
    ck_assert_uint_eq(cpuid_lookup(c, 7, 0).ebx, seven.ebx);
    rig_free(&r);
    rig_init(&r, "intel", 1);
    rig_rdmsr_gp(&r.cpu[0], MSR_AMD_CPUID_1);
    rig_free(&r);
}
END_TEST

START_TEST(test_msr__checks)
{
    struct rig r;
    rig_init(&r, "max", 1);
    struct cpu *c = &r.cpu[0];
    rig_rdmsr_gp(c, 0x12345);
    rig_wrmsr_gp(c, 0x12345, 0);
    rig_wrmsr_gp(c, MSR_IA32_PAT, 0x0202020202020202);
    rig_wrmsr(c, MSR_IA32_PAT, 0x07070707);
    rig_wrmsr_gp(c, MSR_IA32_MTRR_DEF_TYPE, 2);
    rig_wrmsr(c, MSR_IA32_MTRR_DEF_TYPE, 0xc06);
    rig_wrmsr_gp(c, 0x200, BIT(52));
    rig_wrmsr(c, 0x200, 0x80000000);
    rig_wrmsr(c, 0x201, 0xffff80000800);
    ck_assert_uint_eq(mtrr_type(c, 0x80001000), 0);
    ck_assert_uint_eq(mtrr_type(c, 0x70001000), 6);
    rig_wrmsr_gp(c, MSR_IA32_EFER, BIT(1));
    rig_wrmsr(c, MSR_IA32_EFER, EFER_LME | EFER_NXE | EFER_LMA);
    ck_assert_uint_eq(c->arch.efer, EFER_LME | EFER_NXE);
    c->arch.cr0 |= CR0_PG;
    rig_wrmsr_gp(c, MSR_IA32_EFER, EFER_NXE);
    rig_wrmsr_gp(c, MSR_IA32_LSTAR, 0xaaaaaaaaaaaaaaaa);
    rig_wrmsr(c, MSR_IA32_LSTAR, 0x00ff000000000000); /* canonical for 57 bits, whatever CR4.LA57 */
    rig_wrmsr_gp(c, MSR_IA32_FS_BASE, BIT(63));
    rig_wrmsr(c, MSR_IA32_FS_BASE, 0x1000);
    ck_assert_uint_eq(c->arch.seg[SEG_FS].base, 0x1000);
    rig_wrmsr_gp(c, MSR_IA32_FEATURE_CONTROL, 3); /* VMX inside SMX: there is no SMX */
    rig_wrmsr(c, 0x400, ~(u64)0);
    rig_wrmsr_gp(c, 0x400, 0xaaaaaaaaaaaaaaaa);
    rig_wrmsr_gp(c, 0x401, 1);
    rig_wrmsr_gp(c, 0x400 + 4 * MC_BANK_COUNT, 0);
    rig_wrmsr_gp(c, MSR_IA32_PKRS, BIT(32));
    rig_wrmsr_gp(c, MSR_IA32_XSS, 1);
    rig_wrmsr(c, MSR_IA32_XSS, 0x1800);
    rig_wrmsr_gp(c, MSR_IA32_S_CET, CET_SUPPRESS | CET_TRACKER);
    rig_wrmsr_gp(c, MSR_IA32_S_CET, 0x40);
    rig_wrmsr_gp(c, MSR_IA32_PL0_SSP, 1);
    rig_wrmsr(c, MSR_IA32_SPEC_CTRL, 7);
    rig_wrmsr_gp(c, MSR_IA32_SPEC_CTRL, BIT(11));
    rig_rdmsr_gp(c, MSR_IA32_PRED_CMD);
    rig_wrmsr(c, MSR_IA32_PRED_CMD, 1);
    rig_wrmsr_gp(c, MSR_IA32_TSC_AUX, BIT(40));
    rig_wrmsr(c, MSR_IA32_MISC_ENABLE, 0x400c50809 & ~(u64)0x1880);
    ck_assert_uint_eq(rig_rdmsr(c, MSR_IA32_MISC_ENABLE), 0x400c51889);
    /* VM_CR and HWCR are not Intel's; nor is MISC_ENABLE AMD's. */
    rig_rdmsr_gp(c, MSR_AMD_HWCR);
    rig_free(&r);
    rig_init(&r, "amd", 1);
    rig_rdmsr_gp(&r.cpu[0], MSR_IA32_MISC_ENABLE);
    ck_assert_uint_ne(rig_rdmsr(&r.cpu[0], MSR_AMD_HWCR) & HWCR_TSC_FREQ_SEL, 0);
    rig_wrmsr(&r.cpu[0], MSR_IA32_TSC_AUX, BIT(40) | 5);
    ck_assert_uint_eq(rig_rdmsr(&r.cpu[0], MSR_IA32_TSC_AUX), 5);
    rig_free(&r);
}
END_TEST

START_TEST(test_msr__tsc)
{
    struct rig r;
    rig_init(&r, "intel", 1);
    struct cpu *c = &r.cpu[0];
    rig_run(&r, 1000);
    ck_assert_uint_eq(rig_rdmsr(c, MSR_IA32_TSC), 2000);
    rig_wrmsr(c, MSR_IA32_TSC, 100000);
    ck_assert_uint_eq(rig_rdmsr(c, MSR_IA32_TSC), 100000);
    ck_assert_uint_eq(rig_rdmsr(c, MSR_IA32_TSC_ADJUST), 98000);
    rig_wrmsr(c, MSR_IA32_TSC_ADJUST, 0);
    ck_assert_uint_eq(rig_rdmsr(c, MSR_IA32_TSC), 2000);
    rig_free(&r);
}
END_TEST

START_TEST(test_msr__pmu)
{
    struct rig r;
    rig_init(&r, "intel", 1);
    struct cpu *c = &r.cpu[0];
    rig_wrmsr(c, MSR_IA32_PERFEVTSEL0, 0x4300c0);
    rig_wrmsr(c, MSR_IA32_PERFEVTSEL0 + 1, 0x43003c);
    rig_run(&r, 500);
    ck_assert_uint_eq(rig_rdmsr(c, MSR_IA32_PMC0), 500);
    ck_assert_uint_eq(rig_rdmsr(c, MSR_IA32_PMC0 + 1), 1000);
    rig_wrmsr(c, MSR_IA32_PERF_GLOBAL_CTRL, 2);
    rig_run(&r, 100);
    u64 v = 0;
    ck_assert_int_eq(pmu_rdpmc(c, 0, &v), CPU_OK);
    ck_assert_uint_eq(v, 500);
    ck_assert_int_eq(pmu_rdpmc(c, 8, &v), CPU_EXIT);
    /* CMASK 2: no cycle retires two instructions; with INV, every cycle retires fewer. */
    rig_wrmsr(c, MSR_IA32_PERF_GLOBAL_CTRL, 3);
    rig_wrmsr(c, MSR_IA32_PERFEVTSEL0, 0x24300c0);
    rig_wrmsr(c, MSR_IA32_PMC0, 0);
    rig_run(&r, 100);
    ck_assert_uint_eq(rig_rdmsr(c, MSR_IA32_PMC0), 0);
    rig_wrmsr(c, MSR_IA32_PERFEVTSEL0, 0x2c300c0);
    rig_run(&r, 100);
    ck_assert_uint_eq(rig_rdmsr(c, MSR_IA32_PMC0), 200);
    /* Overflow: status, an interrupt at the exact instruction, and the entry is masked. */
    rig_wrmsr(c, MSR_IA32_PERFEVTSEL0, 0x5300c0);
    rig_wrmsr(c, MSR_IA32_PMC0, 0xffffff00);
    rig_wrmsr(c, MSR_IA32_PERF_GLOBAL_CTRL, 3);
    apic_mmio_write(c->apic, 0xf0, 0x1ff, 4);
    apic_mmio_write(c->apic, 0x340, 0x50, 4);
    rig_run(&r, 255);
    ck_assert_uint_eq(rig_rdmsr(c, MSR_IA32_PERF_GLOBAL_STATUS), 0);
    rig_run(&r, 1);
    ck_assert_int_eq(apic_pending(c->apic), 0x50);
    ck_assert_uint_eq(rig_rdmsr(c, MSR_IA32_PERF_GLOBAL_STATUS), 1);
    ck_assert_uint_eq(apic_mmio_read(c->apic, 0x340, 4), 0x10050);
    rig_wrmsr(c, MSR_IA32_PERF_GLOBAL_OVF_CTRL, 1);
    ck_assert_uint_eq(rig_rdmsr(c, MSR_IA32_PERF_GLOBAL_STATUS), 0);
    /* A counter of user mode stands still at CPL 0. */
    rig_wrmsr(c, MSR_IA32_FIXED_CTR_CTRL, 0x2);
    rig_wrmsr(c, MSR_IA32_PERF_GLOBAL_CTRL, BIT(32));
    u64 before = rig_rdmsr(c, MSR_IA32_FIXED_CTR0);
    rig_run(&r, 10);
    ck_assert_uint_eq(rig_rdmsr(c, MSR_IA32_FIXED_CTR0), before);
    c->d.cpl = 3;
    pmu_cpl_changed(c);
    rig_run(&r, 10);
    c->d.cpl = 0;
    pmu_cpl_changed(c);
    rig_run(&r, 10);
    ck_assert_uint_eq(rig_rdmsr(c, MSR_IA32_FIXED_CTR0), before + 10);
    rig_free(&r);
}
END_TEST

START_TEST(test_msr__save_restore)
{
    struct rig a, b;
    rig_init(&a, "amd", 1);
    rig_init(&b, "amd", 1);
    rig_wrmsr(&a.cpu[0], MSR_IA32_LSTAR, 0x1234);
    rig_wrmsr(&a.cpu[0], 0xc0011029, 2);
    struct state_io io;
    state_init_save(&io);
    msr_state(&a.cpu[0], &io);
    struct state_io load;
    state_init_load(&load, io.data, io.len);
    msr_state(&b.cpu[0], &load);
    ck_assert(!load.failed);
    state_free(&io);
    ck_assert_uint_eq(rig_rdmsr(&b.cpu[0], 0xc0011029), 2);
    struct state_io ha, hb;
    state_init_hash(&ha);
    state_init_hash(&hb);
    msr_state(&a.cpu[0], &ha);
    msr_state(&b.cpu[0], &hb);
    ck_assert_uint_eq(ha.hash, hb.hash);
    rig_free(&a);
    rig_free(&b);
}
END_TEST

/* Every register that can be read takes back what it says, unless it is read-only: no row crashes.
 */
START_TEST(test_msr__sweep)
{
    static const char *const models[] = {"intel", "amd", "max", "max,vendor=amd", "base,+msr"};
    for (size_t k = 0; k < ARRAY_LEN(models); k++) {
        struct rig r;
        rig_init(&r, models[k], 1);
        struct cpu *c = &r.cpu[0];
        for (u64 i = 0; i < 0x6000; i++) {
            u32 index = i < 0x2000   ? (u32)i
                        : i < 0x4000 ? 0xc0000000 + (u32)(i & 0x1fff)
                                     : 0xc0010000 + (u32)(i & 0x1fff);
            u64 v = 0;
            cpu_rc rc = msr_read(c, index, &v);
            if (rc == CPU_OK && index != MSR_IA32_APIC_BASE) {
                rc = msr_write(c, index, v);
            }
            rc = msr_write(c, index, ~(u64)0);
            UNUSED(rc);
            ck_assert(msr_name(c, index) == NULL || msr_name(c, index)[0] != '\0');
        }
        rig_free(&r);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("model");
    TCase *c = tcase_create("model");
    tcase_add_test(c, test_nearest__distance);
    tcase_add_test(c, test_model__names);
    tcase_add_test(c, test_model__properties);
    tcase_add_test(c, test_model__neutral_names);
    tcase_add_test(c, test_model__refused);
    tcase_add_test(c, test_model__random_switches);
    tcase_add_test(c, test_model__tables);
    tcase_add_test(c, test_model__override);
    tcase_add_test(c, test_cpuid__state);
    tcase_add_test(c, test_msr__checks);
    tcase_add_test(c, test_msr__tsc);
    tcase_add_test(c, test_msr__pmu);
    tcase_add_test(c, test_msr__save_restore);
    tcase_add_test(c, test_msr__sweep);
    suite_add_tcase(s, c);
    return unit_run(s);
}
