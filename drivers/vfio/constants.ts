/** Numbers and structures of the VFIO user-space ABI. Source: linux/include/uapi/linux/vfio.h. Offsets in bytes. */

export const VFIO_API_VERSION = 0;

/** Kinds of IOMMU that a container can be set to. */
export const VFIO_TYPE1V2_IOMMU = 3;
export const VFIO_NOIOMMU_IOMMU = 8;

// _IO(';', 100 + n): these requests encode neither direction nor size.
export const VFIO_GET_API_VERSION = 0x3b64;
export const VFIO_SET_IOMMU = 0x3b66;
export const VFIO_GROUP_GET_STATUS = 0x3b67;
export const VFIO_GROUP_SET_CONTAINER = 0x3b68;
export const VFIO_GROUP_GET_DEVICE_FD = 0x3b6a;
export const VFIO_DEVICE_GET_INFO = 0x3b6b;
export const VFIO_DEVICE_GET_REGION_INFO = 0x3b6c;
export const VFIO_DEVICE_GET_IRQ_INFO = 0x3b6d;
export const VFIO_DEVICE_SET_IRQS = 0x3b6e;
export const VFIO_DEVICE_RESET = 0x3b6f;
export const VFIO_IOMMU_GET_INFO = 0x3b70;
export const VFIO_IOMMU_MAP_DMA = 0x3b71;
export const VFIO_IOMMU_UNMAP_DMA = 0x3b72;

/** struct vfio_group_status { argsz, flags } */
export const GROUP_STATUS_BYTES = 8;
export const GROUP_FLAGS_VIABLE = 1 << 0;

/** struct vfio_device_info { argsz, flags, num_regions, num_irqs, … } */
export const DEVICE_INFO_BYTES = 16;
export const DEVICE_FLAGS_RESET = 1 << 0;
export const DEVICE_FLAGS_PCI = 1 << 1;

/** struct vfio_region_info { argsz, flags, index, cap_offset; u64 size, offset } */
export const REGION_INFO_BYTES = 32;
export const REGION_FLAG_MMAP = 1 << 2;
export const REGION_FLAG_CAPS = 1 << 3;
export const REGION_CAP_OFFSET = 12;
export const REGION_SIZE = 16;
export const REGION_OFFSET = 24;
/** struct vfio_region_info_cap_sparse_mmap { header; u32 nr_areas, reserved; { u64 offset, size } areas[] } */
export const REGION_CAP_SPARSE_MMAP = 1;
export const PCI_CONFIG_REGION_INDEX = 7;

/** struct vfio_irq_info { argsz, flags, index, count } */
export const IRQ_INFO_BYTES = 16;
export const IRQ_INFO_COUNT = 12;
export const PCI_MSIX_IRQ_INDEX = 2;
/** struct vfio_irq_set { argsz, flags, index, start, count; data[] } */
export const IRQ_SET_BYTES = 20;
export const IRQ_SET_DATA_NONE = 1 << 0;
export const IRQ_SET_DATA_EVENTFD = 1 << 2;
export const IRQ_SET_ACTION_TRIGGER = 1 << 5;

/** struct vfio_iommu_type1_info { argsz, flags; u64 iova_pgsizes; u32 cap_offset, pad } */
export const IOMMU_INFO_BYTES = 24;
export const IOMMU_INFO_CAPS = 1 << 1;
export const IOMMU_CAP_OFFSET = 16;
/** struct vfio_iommu_type1_info_cap_iova_range { header; u32 nr_iovas, reserved; { u64 start, end } ranges[] } */
export const IOMMU_CAP_IOVA_RANGE = 1;

/** struct vfio_iommu_type1_dma_map { argsz, flags; u64 vaddr, iova, size } */
export const DMA_MAP_BYTES = 32;
export const DMA_MAP_FLAG_READ = 1 << 0;
export const DMA_MAP_FLAG_WRITE = 1 << 1;
/** struct vfio_iommu_type1_dma_unmap { argsz, flags; u64 iova, size } */
export const DMA_UNMAP_BYTES = 24;

/** struct vfio_info_cap_header { u16 id, version; u32 next } */
export const CAP_HEADER_BYTES = 8;
export const CAP_NEXT = 4;
/** Both lists of ranges: offset of their count, and of the ranges, from the capability's header; 16 bytes per range. */
export const CAP_RANGE_COUNT = 8;
export const CAP_RANGES = 16;
export const CAP_RANGE_BYTES = 16;
