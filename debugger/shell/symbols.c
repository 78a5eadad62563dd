/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Symbol tables by libelf, lines and frames by libdw. Types and variables are in cvalue.c. Left out: separate debug
 * files, inlined functions. */
#include "debugger/shell/symbols_priv.h"

#include "base/assert.h"
#include "base/bytes.h"

#include <dwarf.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct symbols *symbols_new(void)
{
    (void)elf_version(EV_CURRENT);
    struct symbols *s = calloc(1, sizeof *s);
    sim_assert(s != NULL);
    return s;
}

static void free_file(struct file *f)
{
    if (f->dwarf != NULL) {
        (void)dwarf_end(f->dwarf); /* its frame information with it */
    }
    if (f->elf != NULL) {
        (void)elf_end(f->elf);
    }
    if (f->fd >= 0) {
        (void)close(f->fd);
    }
    free(f->sections);
    free(f->by_value);
    free(f->by_name);
    free(f->text);
    free(f->path);
}

void symbols_free(struct symbols *s)
{
    if (s == NULL) {
        return;
    }
    while (s->count > 0) {
        free_file(&s->files[--s->count]);
    }
    free(s);
}

/* ---- Reading ---- */

static void add_symbol(struct file *f, const struct symbol *symbol)
{
    if (f->count == f->cap) {
        f->cap = 2 * f->cap + 256;
        f->by_value = realloc(f->by_value, f->cap * sizeof *f->by_value);
        sim_assert(f->by_value != NULL);
    }
    f->by_value[f->count++] = *symbol;
}

static int compare_values(const void *a, const void *b)
{
    const struct symbol *x = a, *y = b;
    if (x->value != y->value) {
        return x->value < y->value ? -1 : 1;
    }
    return x->rank != y->rank ? (x->rank < y->rank ? -1 : 1) : strcmp(x->name, y->name);
}

static int compare_names(const void *a, const void *b)
{
    const struct symbol *const *x = a, *const *y = b;
    int order = strcmp((*x)->name, (*y)->name);
    return order != 0 ? order : (*x)->rank < (*y)->rank ? -1 : (*x)->rank > (*y)->rank;
}

static void sort_symbols(struct file *f)
{
    if (f->count == 0) {
        return;
    }
    qsort(f->by_value, f->count, sizeof *f->by_value, compare_values);
    f->by_name = calloc(f->count, sizeof *f->by_name);
    sim_assert(f->by_name != NULL);
    for (size_t i = 0; i < f->count; i++) {
        f->by_name[i] = &f->by_value[i];
    }
    qsort(f->by_name, f->count, sizeof *f->by_name, compare_names);
}

static void read_table(struct file *f, Elf_Scn *section, const GElf_Shdr *header)
{
    Elf_Data *data = elf_getdata(section, NULL);
    size_t count = header->sh_entsize != 0 ? header->sh_size / header->sh_entsize : 0;
    for (size_t i = 0; data != NULL && i < count; i++) {
        GElf_Sym sym;
        if (gelf_getsym(data, (int)i, &sym) == NULL || sym.st_shndx == SHN_UNDEF) {
            continue;
        }
        const char *name = elf_strptr(f->elf, header->sh_link, sym.st_name);
        int type = GELF_ST_TYPE(sym.st_info);
        if (name == NULL || name[0] == '\0' || name[0] == '$' || type == STT_FILE || type == STT_SECTION) {
            continue;
        }
        unsigned rank = type == STT_FUNC ? 0 : type == STT_OBJECT ? 2 : 4;
        rank += GELF_ST_BIND(sym.st_info) == STB_GLOBAL ? 0 : 1;
        if (f->sections != NULL) {
            if (sym.st_shndx >= f->section_count || f->sections[sym.st_shndx] == ~(u64)0) {
                continue;
            }
            sym.st_value += f->sections[sym.st_shndx];
        }
        add_symbol(f, &(struct symbol){.value = sym.st_value, .size = sym.st_size, .name = name, .rank = (u8)rank});
    }
}

/* ---- Kernel modules ---- */

static const char *section_name(const struct file *f, const GElf_Shdr *header)
{
    size_t names;
    const char *name = elf_getshdrstrndx(f->elf, &names) == 0 ? elf_strptr(f->elf, names, header->sh_name) : NULL;
    return name != NULL ? name : "";
}

static void place_sections(struct file *f, const struct symbols_section *list, size_t count)
{
    Elf_Scn *section = NULL;
    (void)elf_getshdrnum(f->elf, &f->section_count);
    f->sections = calloc(f->section_count + 1, sizeof *f->sections);
    sim_assert(f->sections != NULL);
    while ((section = elf_nextscn(f->elf, section)) != NULL) {
        GElf_Shdr header;
        size_t n = elf_ndxscn(section);
        if (n >= f->section_count || gelf_getshdr(section, &header) == NULL) {
            continue;
        }
        f->sections[n] = (header.sh_flags & SHF_ALLOC) != 0 ? ~(u64)0 : 0; /* debug sections count from 0 */
        for (size_t i = 0; i < count; i++) {
            if (strcmp(list[i].name, section_name(f, &header)) == 0) {
                f->sections[n] = list[i].address;
            }
        }
    }
}

/* What a linker would do to the debug sections; the file is mapped for us alone. [psABI "Relocation Types"] */
static void relocate_section(struct file *f, Elf_Scn *section, const GElf_Shdr *header)
{
    GElf_Shdr symbols;
    Elf_Scn *target = elf_getscn(f->elf, header->sh_info), *table = elf_getscn(f->elf, header->sh_link);
    Elf_Data *to = target != NULL ? elf_getdata(target, NULL) : NULL, *rela = elf_getdata(section, NULL);
    Elf_Data *syms = table != NULL && gelf_getshdr(table, &symbols) != NULL ? elf_getdata(table, NULL) : NULL;
    size_t count = header->sh_entsize != 0 ? header->sh_size / header->sh_entsize : 0;
    for (size_t i = 0; to != NULL && to->d_buf != NULL && syms != NULL && rela != NULL && i < count; i++) {
        GElf_Rela r;
        GElf_Sym sym;
        if (gelf_getrela(rela, (int)i, &r) == NULL || gelf_getsym(syms, (int)GELF_R_SYM(r.r_info), &sym) == NULL) {
            continue;
        }
        u64 base = sym.st_shndx < f->section_count ? f->sections[sym.st_shndx] : 0;
        u64 value = base == ~(u64)0 ? 0 : base + sym.st_value + (u64)r.r_addend;
        unsigned type = (unsigned)GELF_R_TYPE(r.r_info);
        size_t size = type == R_X86_64_64 ? 8 : type == R_X86_64_32 || type == R_X86_64_32S ? 4 : 0;
        if (size > 0 && r.r_offset <= to->d_size && to->d_size - r.r_offset >= size) {
            store_le((u8 *)to->d_buf + r.r_offset, value, (unsigned)size);
        }
    }
}

static void relocate_debug(struct file *f)
{
    Elf_Scn *section = NULL;
    while ((section = elf_nextscn(f->elf, section)) != NULL) {
        GElf_Shdr header;
        if (gelf_getshdr(section, &header) != NULL && header.sh_type == SHT_RELA &&
            strncmp(section_name(f, &header), ".rela.debug", 11) == 0) {
            relocate_section(f, section, &header);
        }
    }
}

bool symbols_is_module(const char *path)
{
    GElf_Ehdr header;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    Elf *elf = fd >= 0 ? elf_begin(fd, ELF_C_READ_MMAP, NULL) : NULL;
    bool is = elf != NULL && gelf_getehdr(elf, &header) != NULL && header.e_type == ET_REL;
    if (elf != NULL) {
        (void)elf_end(elf);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return is;
}

static bool read_elf(struct file *f, const struct symbols_section *sections, size_t count)
{
    f->elf = elf_begin(f->fd, sections != NULL ? ELF_C_READ_MMAP_PRIVATE : ELF_C_READ_MMAP, NULL);
    if (f->elf == NULL || elf_kind(f->elf) != ELF_K_ELF) {
        return false;
    }
    if (sections != NULL) {
        place_sections(f, sections, count);
        relocate_debug(f);
    }
    Elf_Scn *section = NULL;
    while ((section = elf_nextscn(f->elf, section)) != NULL) {
        GElf_Shdr header;
        if (gelf_getshdr(section, &header) != NULL && header.sh_type == SHT_SYMTAB) {
            read_table(f, section, &header);
        }
    }
    f->dwarf = dwarf_begin_elf(f->elf, DWARF_C_READ, NULL);
    if (f->dwarf != NULL) {
        f->cfi = dwarf_getcfi(f->dwarf);
    }
    f->eh_cfi = sections != NULL ? NULL : dwarf_getcfi_elf(f->elf);
    return true;
}

/* Lines "ffffffff81000000 T _text". */
static bool read_map(struct file *f)
{
    off_t size = lseek(f->fd, 0, SEEK_END);
    if (size <= 0 || size > 64 << 20) {
        return false;
    }
    f->text = malloc((size_t)size + 1);
    sim_assert(f->text != NULL);
    if (pread(f->fd, f->text, (size_t)size, 0) != (ssize_t)size) {
        return false;
    }
    f->text[size] = '\0';
    for (char *line = f->text, *next; line != NULL && *line != '\0'; line = next) {
        next = strchr(line, '\n');
        if (next != NULL) {
            *next++ = '\0';
        }
        char *end;
        u64 value = strtoull(line, &end, 16);
        if (end == line || end[0] != ' ' || end[1] == '\0' || end[2] != ' ') {
            return false;
        }
        bool global = end[1] >= 'A' && end[1] <= 'Z';
        bool code = (end[1] | 0x20) == 't';
        add_symbol(f, &(struct symbol){
                          .value = value, .name = end + 3, .rank = (u8)((code ? 0 : 2) + (global ? 0 : 1))});
    }
    return f->count > 0;
}

static void forget(struct symbols *s, unsigned i)
{
    free_file(&s->files[i]);
    s->known_count = 0;
    memmove(&s->files[i], &s->files[i + 1], (s->count - i - 1) * sizeof s->files[0]);
    s->count--;
}

bool symbols_unload(struct symbols *s, const char *path)
{
    bool found = false;
    for (unsigned i = s->count; i-- > 0;) {
        if (path == NULL || strcmp(s->files[i].path, path) == 0) {
            forget(s, i);
            found = true;
        }
    }
    return found;
}

static bool load(struct symbols *s, const char *path, unsigned level, u64 offset, const struct symbols_section *sections,
                 size_t count, struct error *err)
{
    for (unsigned i = 0; i < s->count; i++) {
        if (strcmp(s->files[i].path, path) == 0 && s->files[i].level == level) {
            if (sections == NULL) {
                s->files[i].offset = offset;
                return true;
            }
            forget(s, i); /* it may lie elsewhere now */
            break;
        }
    }
    if (s->count == FILES_MAX) {
        return error_set(err, EXIT_STATUS_USAGE, "no more than %d files of symbols", FILES_MAX);
    }
    struct file f = {.fd = open(path, O_RDONLY | O_CLOEXEC), .level = level, .offset = offset};
    if (f.fd < 0) {
        return error_set(err, EXIT_STATUS_NO_FILE, "%s: cannot be read", path);
    }
    f.path = strdup(path);
    bool ok = read_elf(&f, sections, count);
    if (!ok && f.elf != NULL && elf_kind(f.elf) == ELF_K_NONE) {
        ok = read_map(&f);
    }
    if (!ok || (f.count == 0 && f.dwarf == NULL)) {
        free_file(&f);
        return error_set(err, EXIT_STATUS_BAD_FILE, "%s: neither an ELF image with symbols nor a System.map", path);
    }
    sort_symbols(&f);
    s->files[s->count++] = f;
    s->known_count = 0;
    return true;
}

bool symbols_load(struct symbols *s, const char *path, unsigned level, u64 offset, struct error *err)
{
    return load(s, path, level, offset, NULL, 0, err);
}

bool symbols_load_module(struct symbols *s, const char *path, unsigned level, const struct symbols_section *sections,
                         size_t count, struct error *err)
{
    return load(s, path, level, 0, sections, count, err);
}

unsigned symbols_relocate(struct symbols *s, unsigned level, u64 offset)
{
    unsigned n = 0;
    for (unsigned i = 0; i < s->count; i++) {
        if ((level == SYMBOLS_ANY_LEVEL || s->files[i].level == level) && s->files[i].sections == NULL) {
            s->files[i].offset = offset;
            n++;
        }
    }
    return n;
}

bool symbols_file(const struct symbols *s, unsigned n, struct symbol_file *out)
{
    if (n >= s->count) {
        return false;
    }
    const struct file *f = &s->files[n];
    *out = (struct symbol_file){
        .path = f->path, .level = f->level, .offset = f->offset, .count = f->count, .dwarf = f->dwarf != NULL};
    return true;
}

/* ---- Names ---- */

bool symbols_fits(const struct file *f, unsigned level)
{
    return f->level == level || f->level == SYMBOLS_ANY_LEVEL || level == SYMBOLS_ANY_LEVEL;
}

/* The first symbol whose name is not before this one. */
static size_t lower_bound(const struct file *f, const char *name, size_t len)
{
    size_t low = 0, high = f->count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (strncmp(f->by_name[mid]->name, name, len) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static const struct symbol *find_name(const struct file *f, const char *name, size_t len)
{
    for (size_t i = lower_bound(f, name, len); i < f->count && strncmp(f->by_name[i]->name, name, len) == 0; i++) {
        if (f->by_name[i]->name[len] == '\0') {
            return f->by_name[i];
        }
    }
    return NULL;
}

bool symbols_value(const struct symbols *s, const char *name, size_t len, unsigned level, u64 *value)
{
    for (unsigned pass = 0; pass < 2; pass++) { /* another level's names are better than none */
        for (unsigned i = 0; i < s->count; i++) {
            const struct file *f = &s->files[i];
            const struct symbol *found = pass == 1 || symbols_fits(f, level) ? find_name(f, name, len) : NULL;
            if (found != NULL) {
                *value = found->value + f->offset;
                return true;
            }
        }
    }
    return false;
}

bool symbols_linked(const struct symbols *s, const char *name, unsigned level, u64 *value)
{
    for (unsigned i = 0; i < s->count; i++) {
        const struct symbol *found = symbols_fits(&s->files[i], level) ? find_name(&s->files[i], name, strlen(name)) : NULL;
        if (found != NULL) {
            *value = found->value;
            return true;
        }
    }
    return false;
}

const char *symbols_name(const struct symbols *s, u64 address, unsigned level, u64 *start, u64 *size)
{
    for (unsigned i = 0; i < s->count; i++) {
        const struct file *f = &s->files[i];
        u64 at = address - f->offset;
        size_t low = 0, high = f->count;
        if (!symbols_fits(f, level)) {
            continue;
        }
        while (low < high) {
            size_t mid = (low + high) / 2;
            if (f->by_value[mid].value <= at) {
                low = mid + 1;
            } else {
                high = mid;
            }
        }
        if (low == 0) {
            continue;
        }
        u64 value = f->by_value[low - 1].value;
        while (low > 1 && f->by_value[low - 2].value == value) {
            low--; /* the one of the best rank */
        }
        const struct symbol *found = &f->by_value[low - 1];
        u64 reach = found->size != 0 ? found->size : 0x1000;
        if (at - value < reach && value != 0) {
            *start = value + f->offset;
            *size = found->size;
            return found->name;
        }
    }
    return NULL;
}

const char *symbols_beginning(const struct symbols *s, const char *start, size_t len, unsigned n)
{
    for (unsigned i = 0; i < s->count; i++) {
        const struct file *f = &s->files[i];
        for (size_t k = lower_bound(f, start, len); k < f->count && strncmp(f->by_name[k]->name, start, len) == 0;
             k++) {
            if (n-- == 0) {
                return f->by_name[k]->name;
            }
        }
    }
    return NULL;
}

/* ---- Lines ---- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

bool symbols_line(const struct symbols *s, u64 address, unsigned level, const char **file, int *line)
{
    for (unsigned i = 0; i < s->count; i++) {
        const struct file *f = &s->files[i];
        Dwarf_Die die;
        if (f->dwarf == NULL || !symbols_fits(f, level) || dwarf_addrdie(f->dwarf, address - f->offset, &die) == NULL) {
            continue;
        }
        Dwarf_Line *found = dwarf_getsrc_die(&die, address - f->offset);
        if (found != NULL && dwarf_lineno(found, line) == 0) {
            *file = dwarf_linesrc(found, NULL, NULL);
            return *file != NULL;
        }
    }
    return false;
}

bool symbols_source(const struct symbols *s, u64 address, unsigned level, char *path, size_t room, int *line)
{
    const char *file;
    if (!symbols_line(s, address, level, &file, line)) {
        return false;
    }
    const char *folder = NULL;
    for (unsigned i = 0; i < s->count && file[0] != '/'; i++) { /* where it was compiled */
        const struct file *f = &s->files[i];
        Dwarf_Die die;
        Dwarf_Attribute attr;
        if (f->dwarf != NULL && symbols_fits(f, level) && dwarf_addrdie(f->dwarf, address - f->offset, &die) != NULL) {
            folder = dwarf_formstring(dwarf_attr(&die, DW_AT_comp_dir, &attr));
            break;
        }
    }
    int n = snprintf(path, room, "%s%s%s", folder != NULL ? folder : "", folder != NULL ? "/" : "", file);
    return n > 0 && (size_t)n < room;
}

static size_t addresses_of_unit(const struct file *f, Dwarf_Die *unit, const char *wanted, int line, u64 *out,
                                size_t max, int *actual)
{
    Dwarf_Lines *lines;
    size_t count, found = 0;
    if (dwarf_getsrclines(unit, &lines, &count) != 0) {
        return 0;
    }
    for (size_t k = 0; k < count; k++) {
        Dwarf_Line *l = dwarf_onesrcline(lines, k);
        int number;
        Dwarf_Addr at;
        bool statement = false;
        const char *src = dwarf_linesrc(l, NULL, NULL);
        if (src == NULL || dwarf_lineno(l, &number) != 0 || dwarf_lineaddr(l, &at) != 0 ||
            dwarf_linebeginstatement(l, &statement) != 0 || !statement || number < line ||
            number > *actual || strcmp(base_name(src), base_name(wanted)) != 0) {
            continue;
        }
        if (number < *actual) { /* nearer to the line that was asked for */
            *actual = number;
            found = 0;
        }
        bool known = false;
        for (size_t i = 0; i < found; i++) {
            known |= out[i] == at + f->offset;
        }
        if (!known && found < max) {
            out[found++] = at + f->offset;
        }
    }
    return found;
}

size_t symbols_line_addresses(const struct symbols *s, const char *name, int line, unsigned level, u64 *out,
                              size_t max, int *actual)
{
    size_t best = 0;
    u64 list[16];
    *actual = line + 20; /* a line without code: the next one that has some */
    for (unsigned i = 0; i < s->count; i++) {
        const struct file *f = &s->files[i];
        Dwarf_Off at = 0, next;
        size_t header;
        while (f->dwarf != NULL && symbols_fits(f, level) &&
               dwarf_nextcu(f->dwarf, at, &next, &header, NULL, NULL, NULL) == 0) {
            Dwarf_Die die;
            int before = *actual;
            size_t n = dwarf_offdie(f->dwarf, at + header, &die) != NULL
                           ? addresses_of_unit(f, &die, name, line, list, 16, actual)
                           : 0;
            if (n > 0 && (*actual < before || best == 0)) {
                best = n < max ? n : max;
                memcpy(out, list, best * sizeof *out);
            }
            at = next;
        }
    }
    return best;
}

bool symbols_line_address(const struct symbols *s, const char *file, int line, unsigned level, u64 *address)
{
    int actual;
    u64 list[16];
    size_t n = symbols_line_addresses(s, file, line, level, list, 16, &actual);
    for (size_t i = 0; i < n; i++) {
        *address = i == 0 || list[i] < *address ? list[i] : *address;
    }
    return n > 0;
}

/* ---- Frames ---- */

/* What compilers say of saved registers: an offset from the frame's address or from a register. */
static bool evaluate(const Dwarf_Op *ops, size_t count, const struct symbols_frame *f, u64 cfa, u64 *value,
                     bool *is_value)
{
    u64 top = 0;
    *is_value = false;
    for (size_t i = 0; i < count; i++) {
        unsigned op = ops[i].atom;
        if (op == DW_OP_call_frame_cfa) {
            top = cfa;
        } else if (op >= DW_OP_breg0 && op <= DW_OP_breg16) {
            top = f->regs[op - DW_OP_breg0] + ops[i].number;
        } else if (op == DW_OP_bregx && ops[i].number < 17) {
            top = f->regs[ops[i].number] + ops[i].number2;
        } else if (op >= DW_OP_reg0 && op <= DW_OP_reg16) {
            top = f->regs[op - DW_OP_reg0];
            *is_value = true;
        } else if (op == DW_OP_regx && ops[i].number < 17) {
            top = f->regs[ops[i].number];
            *is_value = true;
        } else if (op == DW_OP_plus_uconst) {
            top += ops[i].number;
        } else if (op == DW_OP_stack_value) {
            *is_value = true;
        } else {
            return false;
        }
    }
    *value = top;
    return true;
}

static bool unwind_with(Dwarf_CFI *cfi, u64 offset, struct symbols_frame *f,
                        bool (*read)(void *self, u64 address, u64 *value), void *self)
{
    Dwarf_Frame *frame;
    Dwarf_Op *ops;
    size_t count;
    u64 cfa = 0, value;
    bool is_value;
    if (cfi == NULL || dwarf_cfi_addrframe(cfi, f->pc - offset, &frame) != 0) {
        return false;
    }
    struct symbols_frame next = *f;
    bool ok = dwarf_frame_cfa(frame, &ops, &count) == 0 && count > 0 && evaluate(ops, count, f, 0, &cfa, &is_value);
    for (int r = 0; ok && r <= 16; r++) {
        Dwarf_Op memory[3];
        if (dwarf_frame_register(frame, r, memory, &ops, &count) != 0) {
            ok = false;
        } else if (count > 0) {
            ok = evaluate(ops, count, f, cfa, &value, &is_value) && (is_value || read(self, value, &value));
            next.regs[r] = value;
        } else if (r == 16) {
            ok = false; /* a return address that is nowhere: the outermost frame */
        }
    }
    free(frame);
    if (ok) {
        next.regs[7] = cfa;
        next.pc = next.regs[16];
        next.sp = cfa;
        next.bp = next.regs[6];
        *f = next;
    }
    return ok;
}

bool symbols_cfa(const struct file *f, const struct symbols_frame *frame, u64 *cfa)
{
    Dwarf_CFI *const both[] = {f->cfi, f->eh_cfi};
    for (unsigned i = 0; i < ARRAY_LEN(both); i++) {
        Dwarf_Frame *found;
        Dwarf_Op *ops;
        size_t count;
        bool is_value;
        if (both[i] == NULL || dwarf_cfi_addrframe(both[i], frame->pc - f->offset, &found) != 0) {
            continue;
        }
        bool ok = dwarf_frame_cfa(found, &ops, &count) == 0 && count > 0 && evaluate(ops, count, frame, 0, cfa, &is_value);
        free(found);
        if (ok) {
            return true;
        }
    }
    return false;
}

bool symbols_unwind(const struct symbols *s, unsigned level, struct symbols_frame *frame,
                    bool (*read)(void *self, u64 address, u64 *value), void *self)
{
    for (unsigned i = 0; i < s->count; i++) {
        const struct file *f = &s->files[i];
        if (symbols_fits(f, level) && (unwind_with(f->cfi, f->offset, frame, read, self) ||
                                     unwind_with(f->eh_cfi, f->offset, frame, read, self))) {
            return true;
        }
    }
    return false;
}
