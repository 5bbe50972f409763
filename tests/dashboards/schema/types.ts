// Where @grafana/schema keeps them.
export type { AnnotationQuery, Dashboard, DataQuery, DataSourceRef, FieldConfigSource, GraphFieldConfig, Panel, RowPanel } from '@grafana/schema';
export type { Options as BarGaugeOptions } from '@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen';
export type { Options as StatOptions } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
export type { Options as TimeSeriesOptions } from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';
