/* gemm.c - matrix products through CLBlast. */
#include "ocl/internal.h"

#if VOXCL_WITH_CLBLAST
#include <clblast_c.h>

bool vox_gemm_available(void)
{
    return true;
}

vox_status vox_gemm_run(vox_device *dev, const vox_gemm *g, vox_error *err)
{
    cl_event *slot = vox_profile_span(dev, "CLBlast");
    CLBlastStatusCode code = CLBlastSgemm(
        CLBlastLayoutRowMajor, g->transpose_a ? CLBlastTransposeYes : CLBlastTransposeNo,
        g->transpose_b ? CLBlastTransposeYes : CLBlastTransposeNo, g->m, g->n, g->k, g->alpha,
        g->a->mem, g->a_offset, g->lda, g->b->mem, g->b_offset, g->ldb, g->beta, g->c->mem,
        g->c_offset, g->ldc, &dev->queue, slot);
    if (code == CLBlastSuccess)
        return VOX_OK;
    vox_fail(err, VOX_ERR_DEVICE, "CLBlast's matrix product failed");
    return vox_detail(err, "CLBlast code %d, m %zu, n %zu, k %zu, device %d, %s", (int)code, g->m,
                      g->n, g->k, dev->found.desc.index, dev->found.desc.name);
}
#else
bool vox_gemm_available(void)
{
    return false;
}

vox_status vox_gemm_run(vox_device *dev, const vox_gemm *g, vox_error *err)
{
    (void)dev;
    (void)g;
    vox_fail(err, VOX_ERR_UNSUPPORTED, "this build has no CLBlast");
    return vox_hint(err, "build with -DVOXCL_WITH_CLBLAST=ON");
}
#endif
