// What a dashboard of ours must be, in the types Grafana publishes. `check.ts`, written by the test, holds each of ours
// against it; the schema's own types leave a panel's options, its fields and its queries open, those of annotations, too.
import type { AnnotationQuery, BarGaugeOptions, Dashboard, DataQuery, DataSourceRef, FieldConfigSource, GraphFieldConfig, Panel, RowPanel, StatOptions, TimeSeriesOptions } from './types';

/** Enums as the JSON has them: their values. */
type Plain<T> = T extends string
  ? `${T}`
  : T extends number
    ? `${T}` extends `${infer N extends number}` ? N : T
    : T extends object
      ? { [K in keyof T]: Plain<T[K]> }
      : T;

interface Target extends DataQuery {
  datasource: DataSourceRef;
  expr: string;
  legendFormat: string;
  instant: boolean;
  range: boolean;
  format: 'time_series';
}

type PanelOf<Type extends string, Options, Field> = Omit<Panel, 'type' | 'options' | 'fieldConfig' | 'targets'> & {
  type: Type;
  options: Options;
  fieldConfig: FieldConfigSource<Field>;
  targets: Target[];
};

type Ours =
  | PanelOf<'timeseries', TimeSeriesOptions, GraphFieldConfig>
  | PanelOf<'stat', StatOptions, Record<string, never>>
  | PanelOf<'bargauge', BarGaugeOptions, Record<string, never>>
  | (RowPanel & { type: 'row' });

type HappeningOf<Query, Options> = Omit<AnnotationQuery, 'target'> & { target: DataQuery & Query } & Options;

type Happening =
  | HappeningOf<{ expr: string }, { titleFormat: string; textFormat: string; useValueForTime: boolean }>
  | HappeningOf<{ type: 'tags'; tags: string[]; matchAny: boolean; limit: number }, {}>;

export type Board = Plain<Omit<Dashboard, 'panels' | 'annotations'> & { panels: Ours[]; annotations: { list: Happening[] } }>;
